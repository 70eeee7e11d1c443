//! The arguments of `#[actor(…)]` itself.

use proc_macro2::TokenStream;
use syn::Token;
use syn::parse::{Parse, ParseStream};

/// What may stand in `#[actor(…)]`.
pub(crate) struct Options {
    /// The path of the crate whose `__private` module the generated code uses.
    pub(crate) krate: syn::Path,
}

impl Options {
    /// # Errors
    /// When there is anything but `crate = path`.
    pub(crate) fn parse(tokens: TokenStream) -> syn::Result<Self> {
        syn::parse2(tokens)
    }
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.is_empty() {
            return Ok(Self {
                krate: syn::parse_quote!(::abide),
            });
        }
        if !input.peek(Token![crate]) {
            return Err(input.error("the only option is `crate = path::to::abide`"));
        }
        input.parse::<Token![crate]>()?;
        input.parse::<Token![=]>()?;
        // serde writes such a path as a string, so people do too.
        let krate = if input.peek(syn::LitStr) {
            input
                .parse::<syn::LitStr>()?
                .parse_with(syn::Path::parse_mod_style)?
        } else {
            input.call(syn::Path::parse_mod_style)?
        };
        input.parse::<Option<Token![,]>>()?;
        if !input.is_empty() {
            return Err(input.error("the only option is `crate = path::to::abide`"));
        }
        Ok(Self { krate })
    }
}
