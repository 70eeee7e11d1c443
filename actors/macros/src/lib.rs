//! x
use proc_macro::TokenStream;
/// x
#[proc_macro_attribute]
pub fn actor(_: TokenStream, item: TokenStream) -> TokenStream { item }
