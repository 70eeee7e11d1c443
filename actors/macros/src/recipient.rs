//! The typed recipient: one method per call that may write, which sends it as a message.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::method::CallMethod;
use crate::model::Model;
use crate::signature::Receiver;
use crate::typed::{bounds, encode, parameters, wrapper};

/// `CounterRecipient` for `Counter`.
pub(crate) fn name(model: &Model) -> Ident {
    format_ident!("{}Recipient", model.name)
}

/// The recipient and its methods.
pub(crate) fn expand(model: &Model, private: &TokenStream) -> TokenStream {
    let about = format!(
        "Sends messages to one [`{}`] by name. Each method stages a message that leaves with its turn's commit.",
        model.name
    );
    let methods = model
        .calls
        .iter()
        .filter(|call| call.receiver == Receiver::Exclusive)
        .map(|call| method(call, private));
    wrapper(&name(model), &about, &quote!(#private::Recipient), methods)
}

fn method(call: &CallMethod, private: &TokenStream) -> TokenStream {
    let CallMethod {
        ident,
        cfgs,
        documentation,
        ..
    } = call;
    let name = call.name();
    let (parameters, bounds) = (parameters(call), bounds(call, private));
    let encode = encode(call, private);
    quote! {
        #[doc = #documentation]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = "When too much is outgoing, or it could never arrive; nothing is staged."]
        #(#cfgs)*
        pub fn #ident(
            &self,
            #parameters
        ) -> ::std::result::Result<(), #private::CallError>
        where
            #bounds
        {
            let arguments = #encode;
            self.0.send(#name, arguments)
        }
    }
}
