//! Reading a table of inputs, remembering what was asked for and what did not fit.

use serde_json::{Map, Value};

use super::{Fault, Faults, InputValue, Inputs};

/// A table of inputs that is being read. What no field asks for is unknown.
#[derive(Debug)]
pub struct Reader<'a> {
    table: &'a Map<String, Value>,
    known: Vec<&'static str>,
    faults: Faults,
}

impl<'a> Reader<'a> {
    /// Begins with a table.
    #[must_use]
    pub fn new(table: &'a Map<String, Value>) -> Self {
        Self { table, known: Vec::new(), faults: Faults::default() }
    }

    /// The value of an input, where it fits. What is left out and may be is there.
    pub fn value<T: InputValue>(&mut self, name: &'static str) -> Option<T> {
        match self.given(name) {
            Some(value) => self.fitting(name, value),
            None => T::absent().or_else(|| {
                let expected = expected_by::<T>();
                self.faults.0.push(Fault::Missing { at: name.to_owned(), expected });
                None
            }),
        }
    }

    /// The value of an input; the default of its type where it was left out.
    pub fn value_or_default<T: InputValue + Default>(&mut self, name: &'static str) -> Option<T> {
        match self.given(name) {
            Some(value) => self.fitting(name, value),
            None => Some(T::default()),
        }
    }

    /// The value of an input; what `default` says, read like a given value, where it was left out.
    pub fn value_or<T: InputValue>(
        &mut self,
        name: &'static str,
        default: impl FnOnce() -> Value,
    ) -> Option<T> {
        match self.given(name) {
            Some(value) => self.fitting(name, value),
            None => self.fitting(name, &default()),
        }
    }

    fn given(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.table.get(name).filter(|value| !value.is_null())
    }

    fn fitting<T: InputValue>(&mut self, name: &str, value: &Value) -> Option<T> {
        T::from_value(value).map_err(|faults| self.faults.0.extend(faults.within(name).0)).ok()
    }

    /// Ends: all that did not fit, and all that nothing asked for.
    ///
    /// # Errors
    /// [`Faults`], those of given inputs first.
    pub fn finish<T>(mut self, read: Option<T>) -> Result<T, Faults> {
        let known: Vec<String> = self.known.iter().map(|known| (*known).to_owned()).collect();
        let unknown = self.table.keys().filter(|name| !known.contains(name));
        let unknown = unknown.map(|name| Fault::Unknown { at: name.clone(), known: known.clone() });
        self.faults.0.extend(unknown);
        match read {
            Some(read) if self.faults.0.is_empty() => Ok(read),
            _ => Err(self.faults),
        }
    }
}

/// What a type expects, as it says itself when it is given nothing.
fn expected_by<T: InputValue>() -> String {
    let fault = T::from_value(&Value::Null).err().and_then(|faults| faults.0.into_iter().next());
    match fault {
        Some(Fault::Unfit { expected, .. } | Fault::Missing { expected, .. }) => expected,
        Some(Fault::Unknown { .. }) | None => "a value".to_owned(),
    }
}

/// Reads a struct of inputs from a value that has to be a table.
///
/// # Errors
/// [`Faults`] with the places below the value.
pub fn read_table<T: Inputs>(value: &Value) -> Result<T, Faults> {
    let Value::Object(table) = value else { return Err(Faults::unfit("a table", value)) };
    let mut reader = Reader::new(table);
    let read = T::read_from(&mut reader);
    reader.finish(read)
}
