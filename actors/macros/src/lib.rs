//! The `#[actor]` attribute of Abide. Use it through the crate `abide`, which re-exports it beside
//! the `Actor` trait it implements; that trait's documentation says what each callback does.
//!
//! In reading order: `options` reads the attribute's own arguments; `model` reads the `impl` block
//! as calls (`method`) and callbacks (`callback`) and refuses what cannot work; `expand` writes the
//! code: the trait's implementation, in `dispatch`, the typed `handle` and the typed `recipient`.

mod callback;
mod dispatch;
mod expand;
mod handle;
mod method;
mod model;
mod options;
mod problems;
mod recipient;
mod signature;
mod typed;

use proc_macro::TokenStream;

/// Makes a type an actor: goes on its one `impl` block with the calls and callbacks.
///
/// ```text
/// #[actor]
/// impl Counter {
///     /// Adds `by`, returns the new value.
///     #[call]
///     async fn increment(&mut self, by: u64) -> u64 {
///         self.value += by;
///         self.value
///     }
/// }
/// ```
///
/// - A method with `#[call]` can be called by name. `&mut self`: its changes are committed before
///   the reply leaves. `&self`: it only reads. `ctx: &mut Context<Self>` (in a read
///   `ctx: &Context<Self>`) is an optional first argument. The other arguments are owned values that
///   implement `Deserialize`; an `Option<_>` may be left out by the caller. It returns a value that
///   implements `Serialize`, or a `Result<_, E>` whose error converts into `ActorError`; `Err` rolls
///   the turn back.
/// - A method named `activated`, `connected`, `message`, `disconnected`, `alarm`, `fetch`, `tick` or
///   `deactivating` is that callback. Every other method stays the type's own business.
/// - Methods may be `async` or not.
/// - Documentation (`///`) of the block and its calls goes into the namespace's description and
///   OpenAPI; so does the JSON Schema of every argument and return type that implements
///   `JsonSchema`. A type that does not is described as "any value".
///
/// Beside `impl Actor`, it writes a handle: for `Counter` a `CounterHandle`, what
/// `ctx.actor::<Counter>("visits")` returns, with one async method per call; and a recipient, a
/// `CounterRecipient`, what `ctx.send::<Counter>("visits")` returns, with one method per call that may write.
///
/// `#[actor(frame_size_max = 4 << 20)]` lets clients of its sessions send messages of so many bytes, also
/// where the server's setting `frame_size_max` is less; 8 MiB are the most that an actor can ask for.
///
/// `#[actor(crate = path::to::abide)]` is for crates that know `abide` by another path.
#[proc_macro_attribute]
pub fn actor(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::actor(options.into(), item.into()).into()
}

/// Marks a method of an `#[actor]` block that can be called by name.
///
/// `#[actor]` reads and removes it, so where this attribute is itself expanded it stands in the
/// wrong place.
#[proc_macro_attribute]
pub fn call(_options: TokenStream, item: TokenStream) -> TokenStream {
    let mut tokens = syn::Error::new(
        proc_macro2::Span::call_site(),
        "`#[call]` works on the methods of an `impl` block under `#[actor]`",
    )
    .into_compile_error();
    tokens.extend(proc_macro2::TokenStream::from(item));
    tokens.into()
}
