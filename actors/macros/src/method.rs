//! One `#[call]`: a method callers know by name.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute, GenericArgument, ImplItemFn, Pat, PathArguments, Type};

use crate::callback;
use crate::problems::Problems;
use crate::signature::{self, Receiver, Signature};

/// A method with `#[call]`.
pub(crate) struct CallMethod {
    pub(crate) ident: Ident,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) documentation: String,
    pub(crate) is_async: bool,
    pub(crate) receiver: Receiver,
    pub(crate) takes_context: bool,
    pub(crate) arguments: Vec<Argument>,
    /// What a successful call returns.
    pub(crate) value: Type,
    pub(crate) failure: Failure,
}

/// Whether a call's own code can refuse it.
pub(crate) enum Failure {
    /// It returns a plain value.
    Never,
    /// It returns what is written `Result<…>`, with this error when that is written, too.
    Error(Option<Box<Type>>),
}

/// An argument callers give.
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    /// Whether it is written `Option<…>`, so that callers may leave it out.
    pub(crate) optional: bool,
}

impl CallMethod {
    /// The name in URLs.
    pub(crate) fn name(&self) -> String {
        self.ident.unraw().to_string()
    }

    /// Reads a method, or says what about it cannot be called.
    pub(crate) fn read(method: &ImplItemFn, actor: &Type, problems: &mut Problems) -> Option<Self> {
        let ident = &method.sig.ident;
        if callback::is_name(&ident.unraw().to_string()) {
            problems.at(
                ident,
                format_args!(
                    "`{ident}` is a callback, which the runtime runs: remove `#[call]`, or give \
                     the call another name"
                ),
            );
            return None;
        }
        let signature = Signature::read(&method.sig, "a `#[call]`", problems)?;
        let arguments: Vec<_> = signature
            .rest
            .iter()
            .filter_map(|parameter| Argument::read(parameter, actor, problems))
            .collect();
        if arguments.len() < signature.rest.len() {
            return None;
        }
        let returned = signature::without_self(&signature::returned(&method.sig.output), actor);
        if let Type::ImplTrait(opaque) = &returned {
            problems.at(
                opaque,
                "a reply is encoded, so its type must have a name: no `impl Trait`",
            );
            return None;
        }
        let (value, failure) = outcome(returned);
        Some(Self {
            ident: ident.clone(),
            cfgs: signature::cfgs(&method.attrs),
            documentation: signature::documentation(&method.attrs),
            is_async: method.sig.asyncness.is_some(),
            receiver: signature.receiver,
            takes_context: signature.context.is_some(),
            arguments,
            value,
            failure,
        })
    }
}

impl Argument {
    fn read(
        parameter: &signature::Parameter<'_>,
        actor: &Type,
        problems: &mut Problems,
    ) -> Option<Self> {
        let ident = match parameter.pattern {
            Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => &name.ident,
            pattern => {
                problems.at(
                    pattern,
                    "callers give arguments by name: write a name, not a pattern",
                );
                return None;
            }
        };
        match parameter.ty {
            Type::Reference(reference) => {
                problems.at(
                    parameter.ty,
                    format_args!(
                        "an argument is decoded from the caller's bytes, so it is owned: take {}",
                        owned_form(&reference.elem)
                    ),
                );
                return None;
            }
            Type::ImplTrait(_) => {
                problems.at(
                    parameter.ty,
                    "an argument is decoded, so its type must have a name: no `impl Trait`",
                );
                return None;
            }
            _ => {}
        }
        Some(Self {
            ident: ident.clone(),
            ty: signature::without_self(parameter.ty, actor),
            optional: last_arguments(parameter.ty, "Option").is_some(),
        })
    }
}

/// What to take instead of a reference to `ty`.
fn owned_form(ty: &Type) -> String {
    match ty {
        Type::Path(path) if path.path.is_ident("str") => "`String`".to_owned(),
        Type::Slice(slice) => format!("`Vec<{}>`", readable(&slice.elem)),
        other => format!("`{}`", readable(other)),
    }
}

/// The type in the spacing people write.
fn readable(ty: &Type) -> String {
    let text = ty.to_token_stream().to_string();
    text.replace(" :: ", "::")
        .replace(" < ", "<")
        .replace(" >", ">")
        .replace(" ,", ",")
}

/// Takes `Result<R>` and `Result<R, E>`, under any path, apart; everything else is a plain value.
fn outcome(returned: Type) -> (Type, Failure) {
    let mut types = last_arguments(&returned, "Result")
        .into_iter()
        .flat_map(|arguments| {
            arguments.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty.clone()),
                _ => None,
            })
        });
    match (types.next(), types.next()) {
        (Some(value), error) => (value, Failure::Error(error.map(Box::new))),
        (None, _) => (returned, Failure::Never),
    }
}

/// The generic arguments of a path that ends in `name<…>`.
fn last_arguments<'a>(ty: &'a Type, name: &str) -> Option<&'a syn::AngleBracketedGenericArguments> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) if last.ident == name => Some(arguments),
        _ => None,
    }
}
