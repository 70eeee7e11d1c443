//! The arguments of `#[actor(…)]` itself.

use proc_macro2::TokenStream;
use syn::Token;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};

/// What may stand in `#[actor(…)]`.
pub(crate) struct Options {
    /// The path of the crate whose `__private` module the generated code uses.
    pub(crate) krate: syn::Path,
    /// Bytes that a message of a session may have, when the kind says so.
    pub(crate) frame_size_max: Option<syn::Expr>,
}

const KNOWN: &str = "the options are `crate = path::to::abide` and `frame_size_max = bytes`";

impl Options {
    /// # Errors
    /// When there is anything but options we know, each once.
    pub(crate) fn parse(tokens: TokenStream) -> syn::Result<Self> {
        syn::parse2(tokens)
    }
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut krate = None;
        let mut frame_size_max = None;
        while !input.is_empty() {
            let name = input.call(syn::Ident::parse_any)?;
            let is_given_twice = match name.to_string().as_str() {
                "crate" => {
                    input.parse::<Token![=]>()?;
                    krate.replace(path(input)?).is_some()
                }
                "frame_size_max" => {
                    input.parse::<Token![=]>()?;
                    frame_size_max.replace(input.parse()?).is_some()
                }
                _ => return Err(syn::Error::new(name.span(), KNOWN)),
            };
            if is_given_twice {
                return Err(syn::Error::new(name.span(), "this option is given twice"));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(Self {
            krate: krate.unwrap_or_else(|| syn::parse_quote!(::abide)),
            frame_size_max,
        })
    }
}

/// serde writes such a path as a string, so people do too.
fn path(input: ParseStream<'_>) -> syn::Result<syn::Path> {
    if input.peek(syn::LitStr) {
        let text = input.parse::<syn::LitStr>()?;
        return text.parse_with(syn::Path::parse_mod_style);
    }
    input.call(syn::Path::parse_mod_style)
}
