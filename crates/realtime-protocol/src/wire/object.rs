//! JSON objects and arrays taken apart by one level, each value as the text that it came in: for changes to
//! one member that leave all others as they are, in their order.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use crate::wire::Members;

/// A JSON object as its members, each value as text.
#[derive(Debug)]
pub(crate) struct Object(pub(crate) Vec<(String, String)>);

impl Object {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let Members(members) = serde_json::from_str(text).ok()?;
        Some(Self(members.into_iter().map(|(name, value)| (name, into_text(value))).collect()))
    }

    pub(crate) fn write(&self) -> String {
        let mut text = String::from("{");
        for (index, (name, value)) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            crate::event::scan::write(name, &mut text);
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        text
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Takes a member out, the last of several of the same name.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let value = self.get(name)?.to_owned();
        self.0.retain(|(key, _)| key != name);
        Some(value)
    }

    pub(crate) fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub(crate) fn set_default(&mut self, name: &str, value: impl FnOnce() -> String) {
        if self.get(name).is_none() {
            self.set(name, value());
        }
    }

    /// Gives a member another name, unless that one is taken.
    pub(crate) fn rename(&mut self, from: &str, to: &str, change: impl FnOnce(String) -> String) {
        if self.get(to).is_none()
            && let Some(value) = self.take(from)
        {
            self.set(to, change(value));
        }
    }

    /// Changes a member that is an object.
    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut Self)) {
        if let Some(mut object) = self.get(name).and_then(Self::read) {
            self.set(name, String::new()); // it may be large
            change(&mut object);
            self.set(name, object.write());
        }
    }

    /// Changes the elements that are objects of a member that is an array.
    pub(crate) fn change_elements(&mut self, name: &str, mut change: impl FnMut(&mut Self)) {
        let Some(mut all) = self.get(name).and_then(elements) else { return };
        self.set(name, String::new());
        for element in &mut all {
            if let Some(mut object) = Self::read(element) {
                *element = String::new();
                change(&mut object);
                *element = object.write();
            }
        }
        self.set(name, array(&all));
    }
}

/// The elements of a JSON array, each as text; `None`: the text is not an array.
pub(crate) fn elements(text: &str) -> Option<Vec<String>> {
    let elements: Vec<Box<RawValue>> = serde_json::from_str(text).ok()?;
    Some(elements.into_iter().map(into_text).collect())
}

/// A value's text, which may be large, without a copy.
fn into_text(value: Box<RawValue>) -> String {
    Box::<str>::from(value).into()
}

/// A JSON array of these elements.
pub(crate) fn array(elements: &[String]) -> String {
    ["[", &elements.join(","), "]"].concat()
}
