//! From the model to the code.

use proc_macro2::TokenStream;
use quote::quote;

use crate::options::Options;
use crate::{dispatch, handle, model, recipient};

/// The block as it was, followed by `impl Actor`, the handle and the recipient; or by the errors.
pub(crate) fn actor(options: TokenStream, item: TokenStream) -> TokenStream {
    let (mut tokens, model) = model::read(item);
    let generated = Options::parse(options).and_then(|options| {
        let model = model?;
        let krate = &options.krate;
        // The one module generated code may name: what it needs and nothing users should.
        let private = quote!(#krate::__private);
        let handle = handle::expand(&model, &private);
        let recipient = recipient::expand(&model, &private);
        let implementation = dispatch::expand(&model, &options, &private);
        Ok(quote!(#implementation #handle #recipient))
    });
    tokens.extend(generated.unwrap_or_else(syn::Error::into_compile_error));
    tokens
}
