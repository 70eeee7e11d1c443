//! `impl Actor`: the description, and one `match` each for turns and reads.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::callback::Callback;
use crate::method::{CallMethod, Failure};
use crate::model::Model;
use crate::options::Options;
use crate::signature::Receiver;
use crate::{handle, recipient};

/// The implementation of `Actor`, with its argument types, in a scope of its own.
pub(crate) fn expand(model: &Model, options: &Options, private: &TokenStream) -> TokenStream {
    let Model {
        actor,
        calls,
        callbacks,
        documentation,
        ..
    } = model;
    let (handle, recipient) = (handle::name(model), recipient::name(model));
    let argument_types = calls.iter().map(|call| argument_type(call, private));
    let no_alias = calls.iter().map(|call| refuse_hidden_result(call, private));
    let methods = calls.iter().map(|call| describe(call, private));
    let has_callbacks = callbacks.iter().map(|callback| {
        let Callback { ident, cfgs, .. } = callback;
        quote!(#(#cfgs)* { description.callbacks.#ident = true; })
    });
    let writes = calls
        .iter()
        .filter(|call| call.receiver == Receiver::Exclusive)
        .map(|call| call_arm(call, private));
    let reads = calls
        .iter()
        .filter(|call| call.receiver == Receiver::Shared)
        .map(|call| call_arm(call, private));
    let frame_size_max = options.frame_size_max.iter().map(
        |bytes| quote!(description.frame_size_max_bytes = ::std::option::Option::Some(#bytes);),
    );
    // Under a `#[cfg]` a method may not be there; this list only helps people.
    let known: Vec<_> = calls.iter().map(CallMethod::name).collect();
    let callback_arms = callbacks
        .iter()
        .map(|callback| callback_arm(callback, private));
    quote! {
        const _: () = {
            // Describes types without a schema; unused when every type has one.
            #[allow(unused_imports)]
            use #private::AnySchema as _;
            #(#argument_types)*
            #(#no_alias)*

            // The one place that says what the state lacks. The bound with a lifetime of its own
            // puts off the same question in the implementation until somebody uses it.
            const _: fn() = #private::check_state::<#actor>;

            #[automatically_derived]
            impl #private::Actor for #actor
            where
                for<'any> #actor: #private::State,
            {
                type Handle<'a> = #handle<'a>;
                type Recipient<'a> = #recipient<'a>;

                fn description() -> #private::Description {
                    #[allow(unused_mut)]
                    let mut description = #private::Description {
                        documentation: ::std::string::String::from(#documentation),
                        ..::std::default::Default::default()
                    };
                    #(#methods)*
                    #(#has_callbacks)*
                    #(#frame_size_max)*
                    description
                }

                async fn turn(
                    &mut self,
                    cx: &mut #private::Context<Self>,
                    message: #private::Message,
                ) -> ::std::result::Result<#private::Answer, #private::CallError> {
                    match message {
                        #private::Message::Call(call) => match &*call.method {
                            #(#writes)*
                            _ => ::std::result::Result::Err(
                                #private::unknown_method(cx, &call, &[#(#known),*]),
                            ),
                        }
                        .map(#private::Answer::Value),
                        #(#callback_arms)*
                        #[allow(unreachable_patterns)]
                        other => #private::unhandled(cx, &other),
                    }
                }

                async fn read(
                    &self,
                    cx: &#private::Context<Self>,
                    call: &#private::Call,
                ) -> ::std::result::Result<#private::Payload, #private::CallError> {
                    match &*call.method {
                        #(#reads)*
                        _ => ::std::result::Result::Err(
                            #private::unknown_method(cx, call, &[#(#known),*]),
                        ),
                    }
                }
            }
        };
    }
}

fn argument_type_name(call: &CallMethod) -> Ident {
    format_ident!("__ArgumentsOf_{}", call.ident.unraw())
}

/// The arguments of one call as a struct: serde reads those from maps by name and from sequences
/// by position. A call without arguments shares one type with all others of the kind.
fn argument_type(call: &CallMethod, private: &TokenStream) -> TokenStream {
    if call.arguments.is_empty() {
        return TokenStream::new();
    }
    let CallMethod {
        cfgs, arguments, ..
    } = call;
    let name = argument_type_name(call);
    let serde = format!("{private}::serde").replace(' ', "");
    let names: Vec<_> = arguments
        .iter()
        .map(|argument| format!("`{}`", argument.ident.unraw()))
        .collect();
    let expecting = format!("an object or an array with {}", names.join(", "));
    // In place of serde's own bounds, so that a type that cannot be decoded is one error, where
    // the arguments are decoded, instead of one for every line of the derived code.
    let bounds: Vec<_> = arguments
        .iter()
        .map(|argument| {
            format!(
                "for<'any> {}: {private}::Argument",
                argument.ty.to_token_stream()
            )
        })
        .collect();
    let bounds = bounds.join(", ");
    let fields = arguments.iter().map(|argument| {
        let (ident, ty) = (&argument.ident, &argument.ty);
        // By name serde lets an `Option` be absent, by position only with a default.
        let absent = argument.optional.then(|| quote!(#[serde(default)]));
        quote!(#absent #ident: #ty,)
    });
    quote! {
        #(#cfgs)*
        #[allow(non_camel_case_types)]
        #[derive(#private::serde::Deserialize)]
        #[serde(
            crate = #serde,
            bound(deserialize = #bounds),
            deny_unknown_fields,
            expecting = #expecting
        )]
        struct #name { #(#fields)* }
    }
}

/// A `Result` under another name would be committed and encoded as a value, errors included.
fn refuse_hidden_result(call: &CallMethod, private: &TokenStream) -> TokenStream {
    if let Failure::Error(_) = call.failure {
        return TokenStream::new();
    }
    let CallMethod {
        cfgs, value, ident, ..
    } = call;
    let message = format!(
        "`{ident}` returns a `Result` under another name: write `Result<_, _>`, so that its error \
         rolls the turn back"
    );
    // The inherent constant, which only results have, hides the trait's.
    quote_spanned! {value.span()=>
        #(#cfgs)*
        const _: () = {
            #[allow(unused_imports)]
            use #private::NoResult as _;
            ::std::assert!(!#private::IsResult::<#value>::YES, #message);
        };
    }
}

fn describe(call: &CallMethod, private: &TokenStream) -> TokenStream {
    let CallMethod {
        cfgs,
        documentation,
        value,
        ..
    } = call;
    let name = call.name();
    let access = match call.receiver {
        Receiver::Shared => quote!(Read),
        Receiver::Exclusive => quote!(Write),
    };
    let arguments = call.arguments.iter().map(|argument| {
        let (name, ty) = (argument.ident.unraw().to_string(), &argument.ty);
        let presence = if argument.optional {
            quote!(Optional)
        } else {
            quote!(Required)
        };
        quote! {
            .argument(#name, #private::Presence::#presence, #private::SchemaOf::<#ty>::schema)
        }
    });
    quote! {
        #(#cfgs)*
        description.methods.push(
            #private::MethodSchemas::new()
                #(#arguments)*
                .returns(#private::SchemaOf::<#value>::schema)
                .describe(#name, #documentation, #private::Access::#access),
        );
    }
}

fn call_arm(call: &CallMethod, private: &TokenStream) -> TokenStream {
    let CallMethod {
        cfgs,
        ident,
        value,
        failure,
        ..
    } = call;
    let name = call.name();
    let decode = match call.arguments.first() {
        None => quote!(#private::no_arguments(&call)?;),
        Some(first) => {
            let argument_type = argument_type_name(call);
            let argument_type = respan(argument_type.to_token_stream(), first.ty.span());
            quote!(let arguments = #private::arguments::<#argument_type>(&call)?;)
        }
    };
    let context = call.takes_context.then(|| quote!(cx,));
    let arguments = call.arguments.iter().map(|argument| &argument.ident);
    let wait = call.is_async.then(|| quote!(.await));
    let returned = quote!(self.#ident(#context #(arguments.#arguments),*) #wait);
    let success = match failure {
        Failure::Never => returned,
        Failure::Error(error) => {
            // The written type is where an error that does not convert must be changed.
            let error = error.as_ref().map(|error| quote!(::<#error>));
            quote! {
                match #returned {
                    ::std::result::Result::Ok(value) => value,
                    ::std::result::Result::Err(error) => {
                        return ::std::result::Result::Err(#private::refused #error (error));
                    }
                }
            }
        }
    };
    quote! {
        #(#cfgs)*
        #name => {
            #decode
            let value = #success;
            #private::reply::<#value>(&call, &value)
        }
    }
}

fn callback_arm(callback: &Callback, private: &TokenStream) -> TokenStream {
    let Callback {
        ident,
        cfgs,
        returned,
        ..
    } = callback;
    let (pattern, values, answer) = match callback.name().as_str() {
        "activated" => (quote!(Activated), vec![], quote!(answer)),
        "connected" => (
            quote!(Connected { session, request }),
            vec![quote!(&session), quote!(&request)],
            quote!(answer_connected),
        ),
        "message" => (
            quote!(Frame { session, frame }),
            vec![quote!(&session), quote!(frame)],
            quote!(answer),
        ),
        "disconnected" => (
            quote!(Disconnected { session, close }),
            vec![quote!(&session), quote!(&close)],
            quote!(answer),
        ),
        "alarm" => (quote!(Alarm(alarm)), vec![quote!(alarm)], quote!(answer)),
        "fetch" => (
            quote!(Fetch(request)),
            vec![quote!(*request)],
            quote!(answer_fetch),
        ),
        "tick" if callback.arguments.is_empty() => (quote!(Tick(_)), vec![], quote!(answer)),
        "tick" => (quote!(Tick(ticked)), vec![quote!(&ticked)], quote!(answer)),
        "deactivating" => (quote!(Deactivating), vec![], quote!(answer)),
        other => unreachable!("`{other}` is not in the list of callbacks"),
    };
    let values = values
        .into_iter()
        .zip(&callback.arguments)
        .map(|(value, span)| respan(value, *span));
    let context = callback.takes_context.then(|| quote!(cx,));
    let wait = callback.is_async.then(|| quote!(.await));
    quote! {
        #(#cfgs)*
        #private::Message::#pattern => {
            let returned = self.#ident(#context #(#values),*) #wait;
            #private::#answer::<#returned>(returned)
        }
    }
}

/// The tokens, reported at `span` when they do not fit.
fn respan(tokens: TokenStream, span: proc_macro2::Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            token.set_span(span.resolved_at(token.span()));
            if let TokenTree::Group(group) = &token {
                let mut inner = Group::new(group.delimiter(), respan(group.stream(), span));
                inner.set_span(token.span());
                token = inner.into();
            }
            token
        })
        .collect()
}
