//! The shapes of answers (`docs/zenlayer-api.md`, answers), read strictly where a mistake would cost a port and
//! leniently elsewhere: unknown fields are ignored, and null is the same as missing.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What surrounds every answer, of success and of failure.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: Deserialize<'de>")]
pub(super) struct Envelope<T> {
    #[serde(default, deserialize_with = "scalar")]
    pub(super) request_id: Option<String>,
    #[serde(default, deserialize_with = "scalar")]
    pub(super) code: Option<String>,
    #[serde(default, deserialize_with = "scalar")]
    pub(super) message: Option<String>,
    pub(super) response: Option<Object<T>>,
}

impl<T: for<'de> Deserialize<'de>> Envelope<T> {
    pub(super) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<Object<Self>>(body).map(|Object(envelope)| envelope)
    }
}

/// One page of a list. Both fields must be there: a list that is left out is not an empty list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: Deserialize<'de>")]
pub(super) struct Page<T> {
    #[serde(deserialize_with = "count")]
    pub(super) total_count: usize,
    pub(super) data_set: Vec<Object<T>>,
}

/// A JSON object and nothing else: what serde derives for a struct would also take an array of its fields.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// A text, or anything else as the JSON it is, so that an odd `code` is still a code.
fn scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// A number, also as a text.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = match &value {
        Value::Number(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| D::Error::custom("expected a count"))
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;

    use super::*;
    use crate::port::{PortInfo, PortStatus};

    fn page(json: &str) -> Result<Page<PortInfo>, serde_json::Error> {
        serde_json::from_str::<Object<Page<PortInfo>>>(json).map(|Object(page)| page)
    }

    #[test]
    fn a_port_of_unknown_fields_nulls_and_status_is_read() {
        let json = r#"{"totalCount": "1", "unknown": {},
            "dataSet": [{"portId": "p", "portStatus": "MELTING", "portName": null, "lag": {}}]}"#;
        let page = page(json).expect("a tolerable page");
        assert_eq!(page.total_count, 1);
        let [Object(port)] = &page.data_set[..] else { panic!("one port, not {page:?}") };
        assert_eq!(port.port_status, PortStatus::Unknown("MELTING".to_owned()));
        assert_eq!(port.port_name, None);
    }

    #[test]
    fn an_empty_text_is_the_same_as_none() {
        let json = r#"{"totalCount": 1, "dataSet": [
            {"portId": "p", "portName": "", "dcId": "ams1", "dcName": " ", "createdTime": ""}]}"#;
        let page = page(json).expect("a page");
        let Object(port) = &page.data_set[0];
        assert_eq!((&port.port_name, &port.dc_name, &port.created_time), (&None, &None, &None));
        assert_eq!(port.dc_id.as_deref(), Some("ams1"), "it stands in for the name of the data center");
    }

    #[test]
    fn a_page_without_its_list_its_count_or_an_id_is_no_page() {
        for json in [
            r#"{"totalCount":0}"#,
            r#"{"totalCount":0,"dataSet":null}"#,
            r#"{"totalCount":0,"dataSet":{}}"#,
            r#"{"dataSet":[]}"#,
            r#"{"totalCount":null,"dataSet":[]}"#,
            r#"{"totalCount":-1,"dataSet":[]}"#,
            r#"{"totalCount":1.5,"dataSet":[]}"#,
            r#"{"totalCount":1,"dataSet":[{}]}"#,
            r#"{"totalCount":1,"dataSet":[{"portId":null}]}"#,
            r#"{"totalCount":1,"dataSet":[null]}"#,
            r#"{"totalCount":0,"totalCount":1,"dataSet":[]}"#,
            r"[0,[]]",
        ] {
            assert!(page(json).is_err(), "{json}: {:?}", page(json));
        }
    }

    #[test]
    fn an_envelope_is_an_object_whose_code_may_be_of_any_type() {
        let envelope = Envelope::<IgnoredAny>::parse(br#"{"code":7105,"message":null,"response":null}"#);
        let envelope = envelope.expect("a tolerable envelope");
        assert_eq!(envelope.code.as_deref(), Some("7105"));
        assert!(envelope.message.is_none() && envelope.response.is_none(), "{envelope:?}");
        for body in
            ["", "null", "[]", r#"["id",null,null,{}]"#, r#"{"response":[]}"#, r#"{"response":1}"#, "{} {}"]
        {
            assert!(Envelope::<IgnoredAny>::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
