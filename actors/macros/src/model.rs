//! The `impl` block as an actor: its calls and callbacks, or everything that is wrong with it.

use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{Attribute, ImplItem, ImplItemFn, Item, ItemImpl, Type};

use crate::callback::{self, Callback};
use crate::method::CallMethod;
use crate::problems::Problems;
use crate::signature;

/// What `#[actor]` found in the block.
pub(crate) struct Model {
    /// The type that becomes an actor.
    pub(crate) actor: Type,
    /// The last part of its name.
    pub(crate) name: Ident,
    pub(crate) documentation: String,
    pub(crate) calls: Vec<CallMethod>,
    pub(crate) callbacks: Vec<Callback>,
}

/// The item as it goes on to the compiler, and the model or what is wrong with it.
///
/// The item goes on in either case: a mistake in one method should not bring an error for every
/// use of the others.
pub(crate) fn read(item: TokenStream) -> (TokenStream, syn::Result<Model>) {
    let mut block = match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Impl(block)) => block,
        Ok(other) => return (item, Err(not_a_block(&other))),
        Err(error) => return (item, Err(error)),
    };
    let (methods, mut problems) = take_call_attributes(&mut block);
    let model = read_block(&block, &methods, &mut problems);
    let model = problems.into_result().and_then(|()| {
        model.ok_or_else(|| syn::Error::new_spanned(&block.self_ty, "this cannot be an actor"))
    });
    (block.into_token_stream(), model)
}

fn not_a_block(item: &Item) -> syn::Error {
    let message = match item {
        Item::Struct(_) | Item::Enum(_) => {
            "`#[actor]` goes on the `impl` block with the calls and callbacks; the type itself \
             derives `Default`, `Serialize` and `Deserialize`"
        }
        _ => "`#[actor]` goes on an `impl` block",
    };
    match item {
        Item::Struct(item) => syn::Error::new_spanned(&item.ident, message),
        Item::Enum(item) => syn::Error::new_spanned(&item.ident, message),
        other => syn::Error::new_spanned(other, message),
    }
}

/// For each item of the block, in order, whether it has `#[call]`, which is removed.
fn take_call_attributes(block: &mut ItemImpl) -> (Vec<bool>, Problems) {
    let mut problems = Problems::default();
    let marked = block
        .items
        .iter_mut()
        .map(|item| {
            let ImplItem::Fn(method) = item else {
                return false;
            };
            let size_before = method.attrs.len();
            method.attrs.retain(|attribute| {
                if is_call(attribute) && !matches!(attribute.meta, syn::Meta::Path(_)) {
                    problems.at(attribute, "`#[call]` has no options");
                }
                !is_call(attribute)
            });
            method.attrs.len() < size_before
        })
        .collect();
    (marked, problems)
}

fn is_call(attribute: &Attribute) -> bool {
    attribute
        .path()
        .segments
        .last()
        .is_some_and(|last| last.ident == "call")
}

fn read_block(block: &ItemImpl, marked: &[bool], problems: &mut Problems) -> Option<Model> {
    if let Some((_, path, _)) = &block.trait_ {
        problems.at(
            path,
            "`#[actor]` goes on the type's own `impl` block, not on that of a trait",
        );
        return None;
    }
    if let Some(generic) = block.generics.params.first() {
        problems.at(
            generic,
            "an actor cannot be generic: what is stored must be read back as one known type",
        );
        return None;
    }
    let actor = &*block.self_ty;
    let Some(name) = name_of(actor) else {
        problems.at(actor, "an actor is a struct or enum, named by its path");
        return None;
    };
    let methods = block
        .items
        .iter()
        .zip(marked)
        .filter_map(|(item, marked)| match item {
            ImplItem::Fn(method) => Some((method, *marked)),
            _ => None,
        });
    let (mut calls, mut callbacks) = (Vec::new(), Vec::new());
    for (method, marked) in methods {
        if marked {
            calls.extend(CallMethod::read(method, actor, problems));
        } else if is_callback(method) {
            callbacks.extend(Callback::read(method, actor, problems));
        }
    }
    refuse_doubles(&calls, problems);
    Some(Model {
        actor: actor.clone(),
        name,
        documentation: signature::documentation(&block.attrs),
        calls,
        callbacks,
    })
}

fn is_callback(method: &ImplItemFn) -> bool {
    use syn::ext::IdentExt;
    callback::is_name(&method.sig.ident.unraw().to_string())
}

fn name_of(actor: &Type) -> Option<Ident> {
    match actor {
        Type::Path(path) if path.qself.is_none() => {
            path.path.segments.last().map(|last| last.ident.clone())
        }
        _ => None,
    }
}

/// Calls under `#[cfg]` may share a name when only one of them is compiled.
fn refuse_doubles(calls: &[CallMethod], problems: &mut Problems) {
    let mut known = HashMap::new();
    for call in calls.iter().filter(|call| call.cfgs.is_empty()) {
        if known.insert(call.name(), ()).is_some() {
            let message = format!("there is another call named `{}`", call.name());
            problems.at(&call.ident, message);
        }
    }
}
