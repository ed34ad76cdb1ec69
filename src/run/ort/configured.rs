//! Options of an execution provider, as the user writes them.

use ort::ep::ArbitrarilyConfigurableExecutionProvider;

/// With the user's options; of a name that comes twice the last counts.
pub fn with<P: ArbitrarilyConfigurableExecutionProvider>(provider: P, options: &[(String, String)]) -> P {
    options.iter().fold(provider, |provider, (key, value)| provider.with_arbitrary_config(key, value))
}
