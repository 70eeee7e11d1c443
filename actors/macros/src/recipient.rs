//! The typed recipient: one method per call that may write, which sends it as a message.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::handle::encode;
use crate::method::CallMethod;
use crate::model::Model;
use crate::signature::Receiver;

/// `CounterRecipient` for `Counter`.
pub(crate) fn name(model: &Model) -> Ident {
    format_ident!("{}Recipient", model.name)
}

/// The recipient and its methods.
pub(crate) fn expand(model: &Model, private: &TokenStream) -> TokenStream {
    let recipient = name(model);
    let about = format!(
        "Sends messages to one [`{}`] by name. Each method stages a message that leaves with its turn's commit.",
        model.name
    );
    let methods = model
        .calls
        .iter()
        .filter(|call| call.receiver == Receiver::Exclusive)
        .map(|call| method(call, private));
    quote! {
        #[doc = #about]
        // As visible as it can be: the macro does not know how visible the actor is.
        #[allow(dead_code, unreachable_pub)]
        #[derive(Debug, Clone)]
        pub struct #recipient<'a>(#private::Recipient<'a>);

        #[automatically_derived]
        impl<'a> ::std::convert::From<#private::Recipient<'a>> for #recipient<'a> {
            fn from(recipient: #private::Recipient<'a>) -> Self {
                Self(recipient)
            }
        }

        #[automatically_derived]
        #[allow(dead_code, unreachable_pub, private_interfaces, clippy::all, clippy::pedantic)]
        impl #recipient<'_> {
            #(#methods)*
        }
    }
}

fn method(call: &CallMethod, private: &TokenStream) -> TokenStream {
    let CallMethod {
        ident,
        cfgs,
        documentation,
        ..
    } = call;
    let name = call.name();
    let parameters = call.arguments.iter().map(|argument| {
        let (ident, ty) = (&argument.ident, &argument.ty);
        quote!(#ident: #ty)
    });
    let encode = encode(call, private);
    let types = call.arguments.iter().map(|argument| &argument.ty);
    // As with handles: a type that cannot be written only takes this one method away.
    quote! {
        #[doc = #documentation]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = "When too much is outgoing, or it could never arrive; nothing is staged."]
        #(#cfgs)*
        pub fn #ident(
            &self,
            #(#parameters),*
        ) -> ::std::result::Result<(), #private::CallError>
        where
            #(for<'any> #types: #private::serde::Serialize,)*
        {
            let arguments = #encode;
            self.0.send(#name, arguments)
        }
    }
}
