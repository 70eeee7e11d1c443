//! The typed handle: one async method per call.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::method::CallMethod;
use crate::model::Model;

/// `CounterHandle` for `Counter`.
pub(crate) fn name(model: &Model) -> Ident {
    format_ident!("{}Handle", model.name)
}

/// The handle and its methods.
pub(crate) fn expand(model: &Model, private: &TokenStream) -> TokenStream {
    let handle = name(model);
    let about = format!(
        "Calls one [`{}`] by name. Each method sends a call and waits for its reply.",
        model.name
    );
    let methods = model.calls.iter().map(|call| method(call, private));
    quote! {
        #[doc = #about]
        // As visible as it can be: the macro does not know how visible the actor is.
        #[allow(dead_code, unreachable_pub)]
        #[derive(Debug, Clone)]
        pub struct #handle<'a>(#private::Callee<'a>);

        #[automatically_derived]
        impl<'a> ::std::convert::From<#private::Callee<'a>> for #handle<'a> {
            fn from(callee: #private::Callee<'a>) -> Self {
                Self(callee)
            }
        }

        #[automatically_derived]
        #[allow(dead_code, unreachable_pub, private_interfaces, clippy::all, clippy::pedantic)]
        impl #handle<'_> {
            #(#methods)*
        }
    }
}

fn method(call: &CallMethod, private: &TokenStream) -> TokenStream {
    let CallMethod {
        ident,
        cfgs,
        documentation,
        value,
        ..
    } = call;
    let name = call.name();
    let parameters = call.arguments.iter().map(|argument| {
        let (ident, ty) = (&argument.ident, &argument.ty);
        quote!(#ident: #ty)
    });
    let encode = encode(call, private);
    let types = call.arguments.iter().map(|argument| &argument.ty);
    // A type may be readable only or writable only, and the actor works all the same: then this
    // one method cannot be called. Bounds without a lifetime of their own would be checked here.
    quote! {
        #[doc = #documentation]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = "As the call's; its `effect` tells whether it may have happened all the same."]
        #(#cfgs)*
        pub async fn #ident(
            &self,
            #(#parameters),*
        ) -> ::std::result::Result<#value, #private::CallError>
        where
            #(for<'any> #types: #private::serde::Serialize,)*
            for<'any> #value: #private::serde::de::DeserializeOwned,
        {
            let arguments = #encode;
            self.0.call(#name, arguments).await
        }
    }
}

/// The arguments of a call as a payload.
pub(crate) fn encode(call: &CallMethod, private: &TokenStream) -> TokenStream {
    if call.arguments.is_empty() {
        return quote!(#private::encode_no_arguments());
    }
    let arguments = call.arguments.iter().map(|argument| &argument.ident);
    quote!(#private::encode_arguments(&(#(#arguments,)*)))
}
