//! One line per setting, four things from it: the field, the flag, the key of `abide.toml`, and
//! the reference that `abide config` prints.

/// Declares the settings. Each is `key: type, "ENVIRONMENT_VARIABLE", default[, smallest..=largest];`
/// under its documentation, which people read in four places: here, in the API documentation, in
/// `--help`, and in the printed `abide.toml`.
macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+
        $key:ident: $type:ty, $env:literal, $default:expr $(, $min:expr => $max:expr)?;
    )+) => {
        /// Everything that can be set, with the values in force.
        ///
        /// ```
        /// use abide::{Config, config::{Engine, Size}};
        ///
        /// let config = Config { engine: Engine::Memory, body_size_max: Size::kib(64), ..Config::default() };
        /// assert!(config.validate().is_ok());
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {
            $( $(#[doc = $doc])+ pub $key: $type, )+
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $( $key: $default, )+ }
            }
        }

        /// What one source says: the command line with the environment, or a file.
        #[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct Layer {
            $(
                $(#[doc = $doc])+
                #[arg(long, env = $env, hide_env_values = true)]
                pub(crate) $key: Option<$type>,
            )+
        }

        impl Layer {
            /// What this layer says, and where it says nothing, what `lower` says.
            pub(crate) fn over(self, lower: Self) -> Self {
                Self { $( $key: self.$key.or(lower.$key), )+ }
            }

            /// The layer on top of the defaults.
            pub(crate) fn into_config(self) -> Config {
                let default = Config::default();
                Config { $( $key: self.$key.unwrap_or(default.$key), )+ }
            }
        }

        /// Checks each value against its range.
        fn check_ranges(config: &Config) -> Result<(), ConfigError> {
            $( $( check_range(stringify!($key), &config.$key, &$min, &$max)?; )? )+
            Ok(())
        }

        /// Every setting for the printed reference, in the order above.
        fn reference() -> Vec<Entry> {
            let default = Config::default();
            vec![ $(
                Entry {
                    key: stringify!($key),
                    documentation: &[$($doc),+],
                    env: $env,
                    default: toml_value(&default.$key),
                    range: settings!(@range $($min, $max)?),
                },
            )+ ]
        }
    };
    (@range $min:expr, $max:expr) => { Some((toml_value(&$min), toml_value(&$max))) };
    (@range) => { None };
}

pub(super) use settings;
