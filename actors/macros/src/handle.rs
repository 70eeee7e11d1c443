//! The typed handle: one async method per call.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::method::CallMethod;
use crate::model::Model;
use crate::typed::{bounds, encode, parameters, wrapper};

/// `CounterHandle` for `Counter`.
pub(crate) fn name(model: &Model) -> Ident {
    format_ident!("{}Handle", model.name)
}

/// The handle and its methods.
pub(crate) fn expand(model: &Model, private: &TokenStream) -> TokenStream {
    let about = format!(
        "Calls one [`{}`] by name. Each method sends a call and waits for its reply.",
        model.name
    );
    let methods = model.calls.iter().map(|call| method(call, private));
    wrapper(&name(model), &about, &quote!(#private::Callee), methods)
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
    let (parameters, bounds) = (parameters(call), bounds(call, private));
    let encode = encode(call, private);
    quote! {
        #[doc = #documentation]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = "As the call's; its `effect` tells whether it may have happened all the same."]
        #(#cfgs)*
        pub async fn #ident(
            &self,
            #parameters
        ) -> ::std::result::Result<#value, #private::CallError>
        where
            #bounds
            for<'any> #value: #private::serde::de::DeserializeOwned,
        {
            let arguments = #encode;
            self.0.call(#name, arguments).await
        }
    }
}
