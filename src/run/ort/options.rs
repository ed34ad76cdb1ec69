//! The user's options of an execution provider, as `KEY=VALUE`.

use indexmap::IndexMap;
use ort::ep::ArbitrarilyConfigurableExecutionProvider;

/// The last of a name counts.
pub(super) fn last_of_each(options: &[(String, String)]) -> Vec<(String, String)> {
    let last: IndexMap<&String, &String> = options.iter().map(|(key, value)| (key, value)).collect();
    last.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// With the user's options, the last of a name counts.
pub(super) fn with<P: ArbitrarilyConfigurableExecutionProvider>(provider: P, options: &[(String, String)]) -> P {
    options.iter().fold(provider, |provider, (key, value)| provider.with_arbitrary_config(key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_option_of_a_name_counts() {
        let option = |key: &str, value: &str| (key.to_string(), value.to_string());
        let given = [option("a", "1"), option("b", "2"), option("a", "3")];
        assert_eq!(last_of_each(&given), [option("a", "3"), option("b", "2")]);
    }
}
