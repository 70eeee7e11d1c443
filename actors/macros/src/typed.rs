//! What the typed handle and the typed recipient have in common.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use crate::method::CallMethod;

/// A struct of this name around `untyped`, with the methods.
pub(crate) fn wrapper(
    name: &Ident,
    about: &str,
    untyped: &TokenStream,
    methods: impl Iterator<Item = TokenStream>,
) -> TokenStream {
    quote! {
        #[doc = #about]
        // As visible as it can be: the macro does not know how visible the actor is.
        #[allow(dead_code, unreachable_pub)]
        #[derive(Debug, Clone)]
        pub struct #name<'a>(#untyped<'a>);

        #[automatically_derived]
        impl<'a> ::std::convert::From<#untyped<'a>> for #name<'a> {
            fn from(untyped: #untyped<'a>) -> Self {
                Self(untyped)
            }
        }

        #[automatically_derived]
        #[allow(dead_code, unreachable_pub, private_interfaces, clippy::all, clippy::pedantic)]
        impl #name<'_> {
            #(#methods)*
        }
    }
}

/// The arguments of a call as they stand in a method's signature.
pub(crate) fn parameters(call: &CallMethod) -> TokenStream {
    let parameters = call.arguments.iter().map(|argument| {
        let (ident, ty) = (&argument.ident, &argument.ty);
        quote!(#ident: #ty)
    });
    quote!(#(#parameters),*)
}

/// That each argument can be written. A type may be readable only, and the actor works all the same: then
/// this one method cannot be called. Bounds without a lifetime of their own would be checked here.
pub(crate) fn bounds(call: &CallMethod, private: &TokenStream) -> TokenStream {
    let types = call.arguments.iter().map(|argument| &argument.ty);
    quote!(#(for<'any> #types: #private::serde::Serialize,)*)
}

/// The arguments of a call as a payload.
pub(crate) fn encode(call: &CallMethod, private: &TokenStream) -> TokenStream {
    if call.arguments.is_empty() {
        return quote!(#private::encode_no_arguments());
    }
    let arguments = call.arguments.iter().map(|argument| &argument.ident);
    quote!(#private::encode_arguments(&(#(#arguments,)*)))
}
