//! The callbacks: methods the runtime runs, known by their names.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, ImplItemFn, Type};

use crate::problems::Problems;
use crate::signature::{self, Signature};

/// What a callback's name stands for.
struct Kind {
    name: &'static str,
    /// The arguments after the context, as the documentation writes them.
    arguments: &'static [&'static str],
    /// What it may return, as the documentation writes it.
    returns: &'static str,
    /// Whether a method without the arguments is the callback, too.
    is_optional: bool,
}

const NOTHING: &str = "";

/// Every callback, in the order of an object's life.
const KINDS: [Kind; 8] = [
    Kind::new("activated", &[], NOTHING),
    Kind::new(
        "connected",
        &["session: &Session", "request: &ConnectRequest"],
        " -> Result<(), Refusal>",
    ),
    Kind::new("message", &["session: &Session", "frame: Frame"], NOTHING),
    Kind::new(
        "disconnected",
        &["session: &Session", "close: &Close"],
        NOTHING,
    ),
    Kind::new("alarm", &["alarm: Alarm"], NOTHING),
    Kind::new(
        "fetch",
        &["request: http::Request<Body>"],
        " -> http::Response<Body>",
    ),
    Kind::new("tick", &["ticked: &Ticked"], NOTHING).with_optional_arguments(),
    Kind::new("deactivating", &[], NOTHING),
];

/// A callback the actor has.
pub(crate) struct Callback {
    pub(crate) ident: Ident,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) is_async: bool,
    pub(crate) takes_context: bool,
    /// Where each argument's type stands, so that a wrong type is reported there.
    pub(crate) arguments: Vec<Span>,
    pub(crate) returned: Type,
}

impl Callback {
    /// Its name.
    pub(crate) fn name(&self) -> String {
        self.ident.unraw().to_string()
    }

    /// Reads a method that has the name of a callback, or says what it should look like.
    pub(crate) fn read(method: &ImplItemFn, actor: &Type, problems: &mut Problems) -> Option<Self> {
        let ident = &method.sig.ident;
        let kind = kind_of(&ident.unraw().to_string())?;
        let what = format!("the callback `{}`", kind.name);
        let signature = Signature::read(&method.sig, &what, problems)?;
        if !kind.takes(signature.rest.len()) {
            problems.at(
                &method.sig.inputs,
                format_args!(
                    "{what} takes {} ({}): `{}`",
                    count(kind.arguments.len()),
                    kind.left_out(),
                    kind.signature(),
                ),
            );
            return None;
        }
        for (parameter, expected) in signature.rest.iter().zip(kind.arguments) {
            let lent = matches!(parameter.ty, Type::Reference(_));
            if lent != expected.contains('&') {
                let signature = kind.signature();
                problems.at(
                    parameter.ty,
                    format_args!("{what} takes `{expected}` here: `{signature}`"),
                );
            }
        }
        Some(Self {
            ident: ident.clone(),
            cfgs: signature::cfgs(&method.attrs),
            is_async: method.sig.asyncness.is_some(),
            takes_context: signature.context.is_some(),
            arguments: signature
                .rest
                .iter()
                .map(|parameter| parameter.ty.span())
                .collect(),
            returned: signature::without_self(&signature::returned(&method.sig.output), actor),
        })
    }
}

impl Kind {
    const fn new(
        name: &'static str,
        arguments: &'static [&'static str],
        returns: &'static str,
    ) -> Self {
        Self {
            name,
            arguments,
            returns,
            is_optional: false,
        }
    }

    const fn with_optional_arguments(self) -> Self {
        Self {
            is_optional: true,
            ..self
        }
    }

    fn takes(&self, arguments: usize) -> bool {
        arguments == self.arguments.len() || self.is_optional && arguments == 0
    }

    /// What may be left out, as a sentence of an error says it.
    fn left_out(&self) -> &'static str {
        if self.is_optional {
            "that and the context may be left out"
        } else {
            "the context may be left out"
        }
    }

    fn signature(&self) -> String {
        let arguments: String = self
            .arguments
            .iter()
            .map(|text| format!(", {text}"))
            .collect();
        let Self { name, returns, .. } = self;
        format!("async fn {name}(&mut self, ctx: &mut Context<Self>{arguments}){returns}")
    }
}

fn count(arguments: usize) -> &'static str {
    match arguments {
        0 => "no arguments",
        1 => "one argument",
        _ => "two arguments",
    }
}

/// Whether a method of this name is a callback.
pub(crate) fn is_name(name: &str) -> bool {
    kind_of(name).is_some()
}

fn kind_of(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}
