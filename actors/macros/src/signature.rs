//! What calls and callbacks have in common: the receiver, the context, plain named arguments.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{FnArg, Pat, PathArguments, ReturnType, Type};

use crate::problems::Problems;

/// How a method takes `self`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receiver {
    Shared,
    Exclusive,
}

/// One argument, as written.
pub(crate) struct Parameter<'a> {
    pub(crate) pattern: &'a Pat,
    pub(crate) ty: &'a Type,
}

/// A method's arguments, taken apart.
pub(crate) struct Signature<'a> {
    pub(crate) receiver: Receiver,
    /// The type of the context, when the first argument is one.
    pub(crate) context: Option<&'a Type>,
    /// The arguments after it.
    pub(crate) rest: Vec<Parameter<'a>>,
}

impl<'a> Signature<'a> {
    /// Takes the arguments apart, or says why they are not those of a method of an actor. `what`
    /// begins the sentences: "a `#[call]`".
    pub(crate) fn read(
        signature: &'a syn::Signature,
        what: &str,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut inputs = signature.inputs.iter().peekable();
        let receiver = match inputs.next_if(|input| matches!(input, FnArg::Receiver(_))) {
            Some(FnArg::Receiver(receiver)) => receiver_of(receiver, what, problems)?,
            _ => {
                problems.at(
                    &signature.ident,
                    format_args!(
                        "{what} is a method: take `&mut self`, or `&self` if it only reads"
                    ),
                );
                return None;
            }
        };
        let mut rest: Vec<_> = inputs
            .filter_map(|input| match input {
                FnArg::Typed(typed) => Some(Parameter {
                    pattern: &typed.pat,
                    ty: &typed.ty,
                }),
                FnArg::Receiver(_) => None,
            })
            .collect();
        let context = match rest.first() {
            Some(first) if is_context(first.ty) => Some(rest.remove(0).ty),
            _ => None,
        };
        let mut sound = true;
        for misplaced in rest.iter().filter(|parameter| is_context(parameter.ty)) {
            let message = match context {
                Some(_) => "there is one context: it is the first argument already",
                None => "the context comes first, right after `self`",
            };
            problems.at(misplaced.ty, message);
            sound = false;
        }
        match context {
            Some(owned @ Type::Path(_)) => {
                let reference = match receiver {
                    Receiver::Shared => "&Context<Self>",
                    Receiver::Exclusive => "&mut Context<Self>",
                };
                problems.at(
                    owned,
                    format_args!("the context is lent: take `{reference}`"),
                );
                sound = false;
            }
            Some(exclusive) if receiver == Receiver::Shared && is_exclusive(exclusive) => {
                problems.at(
                    exclusive,
                    format_args!(
                        "{what} with `&self` only reads, so it cannot stage writes or frames: \
                         take `&Context<Self>`, or `&mut self`"
                    ),
                );
                sound = false;
            }
            _ => {}
        }
        for generic in &signature.generics.params {
            problems.at(
                generic,
                format_args!("{what} cannot be generic: callers know it by its name alone"),
            );
            sound = false;
        }
        if let Some(unsafety) = &signature.unsafety {
            problems.at(
                unsafety,
                format_args!("{what} cannot be `unsafe`: the runtime calls it"),
            );
            sound = false;
        }
        sound.then_some(Self {
            receiver,
            context,
            rest,
        })
    }
}

fn receiver_of(receiver: &syn::Receiver, what: &str, problems: &mut Problems) -> Option<Receiver> {
    if receiver.reference.is_none() || receiver.colon_token.is_some() {
        problems.at(
            receiver,
            format_args!("{what} borrows its actor: take `&mut self`, or `&self` if it only reads"),
        );
        return None;
    }
    Some(if receiver.mutability.is_some() {
        Receiver::Exclusive
    } else {
        Receiver::Shared
    })
}

/// Whether this is a `Context<…>`, lent or owned. A bare owned `Context` may be a type of the
/// user's that happens to have the name.
fn is_context(ty: &Type) -> bool {
    let (ty, lent) = match ty {
        Type::Reference(reference) => (&*reference.elem, true),
        _ => (ty, false),
    };
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|last| {
        last.ident == "Context"
            && (lent || matches!(last.arguments, PathArguments::AngleBracketed(_)))
    })
}

fn is_exclusive(ty: &Type) -> bool {
    matches!(ty, Type::Reference(reference) if reference.mutability.is_some())
}

/// The type a function returns, `()` when none is written.
pub(crate) fn returned(output: &ReturnType) -> Type {
    match output {
        ReturnType::Default => syn::parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    }
}

/// The type with `Self` spelled out: it moves to items where `Self` is another type.
pub(crate) fn without_self(ty: &Type, actor: &Type) -> Type {
    fn spell_out(tokens: TokenStream, actor: &Type) -> TokenStream {
        tokens
            .into_iter()
            .flat_map(|token| match token {
                TokenTree::Ident(ident) if ident == "Self" => actor.to_token_stream(),
                TokenTree::Group(group) => {
                    let mut inner = Group::new(group.delimiter(), spell_out(group.stream(), actor));
                    inner.set_span(group.span());
                    TokenTree::Group(inner).into()
                }
                other => other.into(),
            })
            .collect()
    }
    syn::parse2(spell_out(ty.to_token_stream(), actor))
        .expect("a type stays a type when one type in it is replaced")
}

/// The `#[cfg]` attributes, which everything written for a method must carry too.
pub(crate) fn cfgs(attributes: &[syn::Attribute]) -> Vec<syn::Attribute> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .cloned()
        .collect()
}

/// The `///` text, without the space after the slashes.
pub(crate) fn documentation(attributes: &[syn::Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        let syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) = &pair.value
        else {
            return None;
        };
        let text = text.value();
        pair.path
            .is_ident("doc")
            .then(|| text.strip_prefix(' ').map(str::to_owned).unwrap_or(text))
    });
    lines.collect::<Vec<_>>().join("\n")
}
