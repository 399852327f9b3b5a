//! `ZC2-HMAC-SHA256` request signatures (`docs/zenlayer-api.md`, signature).

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// The only signature method; also the value of `X-ZC-Signature-Method`.
pub const METHOD: &str = "ZC2-HMAC-SHA256";

/// The signed parts of a request. Action, version and path are not signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// Unix time in seconds, as in `X-ZC-Timestamp`.
    pub timestamp: &'a str,
    /// The signed headers in order: lower-case name, and value as on the wire.
    pub headers: &'a [(&'a str, &'a str)],
    /// The exact bytes of the body.
    pub body: &'a [u8],
}

/// The signature in lower-case hexadecimal.
#[must_use]
pub fn sign(password: &str, signed: &Signed<'_>) -> String {
    let to_sign =
        format!("{METHOD}\n{}\n{}", signed.timestamp, hex(&Sha256::digest(canonical_request(signed))));
    let mut mac =
        Hmac::<Sha256>::new_from_slice(password.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(to_sign.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// The `Authorization` header of a client that signs content type and host, as every official SDK does.
#[must_use]
pub fn authorization(key_id: &str, password: &str, signed: &Signed<'_>) -> String {
    let signature = sign(password, signed);
    format!("{METHOD} Credential={key_id}, SignedHeaders={}, Signature={signature}", names(signed.headers))
}

fn canonical_request(signed: &Signed<'_>) -> String {
    let mut headers = String::new();
    for (name, value) in signed.headers {
        let _ = writeln!(headers, "{name}:{}", value.trim());
    }
    // The path is always "/" and the query always empty, whatever the request's URL is.
    format!("POST\n/\n\n{headers}\n{}\n{}", names(signed.headers), hex(&Sha256::digest(signed.body)))
}

fn names(headers: &[(&str, &str)]) -> String {
    headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The parts of a well-formed `Authorization` header of this method.
pub(crate) struct Authorization<'a> {
    pub(crate) key_id: &'a str,
    pub(crate) signed_headers: Vec<&'a str>,
    pub(crate) signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// `ZC2-HMAC-SHA256 Credential=<id>, SignedHeaders=<a;b;…>, Signature=<hex>`; the signed headers are
    /// sorted, in lower case, and name at least `content-type` and `host`. `None`: malformed.
    pub(crate) fn parse(header: &'a str) -> Option<Self> {
        let mut parts = header.strip_prefix(METHOD)?.strip_prefix(' ')?.split(',').map(str::trim);
        let key_id = parts.next()?.strip_prefix("Credential=")?;
        let signed_headers: Vec<&str> = parts.next()?.strip_prefix("SignedHeaders=")?.split(';').collect();
        let signature = parts.next()?.strip_prefix("Signature=")?;
        let well_formed = parts.next().is_none()
            && !key_id.is_empty()
            && signed_headers.is_sorted()
            && ["content-type", "host"].iter().all(|name| signed_headers.contains(name))
            && signature.len() == 64
            && signature.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        well_formed.then_some(Self { key_id, signed_headers, signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Vector {
        name: &'static str,
        body: &'static str,
        canonical_hash: &'static str,
        signature: &'static str,
    }

    const VECTORS: &[Vector] = &[
        Vector {
            name: "V1",
            body: r#"{"portId": "port-0a1b2c3d"}"#,
            canonical_hash: "c5e9a84467af7291e4bc419ba51141e5ce788b55d649b6afdb830db4b3506f77",
            signature: "6bffa5d136dea3e62a5d303c9e88632934c51e1e65b4211f612bc1bbf21c8405",
        },
        Vector {
            name: "V2",
            body: r#"{"portIds": ["port-0a1b2c3d", "port-4e5f6a7b"]}"#,
            canonical_hash: "b6730f5b0d1bed88615b4e2199b1dd5f27506402a953fbb540d8c6af5dc45741",
            signature: "ed9b9188e8ce06bb588898901dd2adaeb66f3519535a7744705a2f3c97fe852f",
        },
        Vector {
            name: "V3",
            body: r#"{"portId": "port-0a1b2c3d", "portName": "\u7aef\u53e3-SIN1-1G", "portRemarks": "caf\u00e9 \u2615 <a&b>"}"#,
            canonical_hash: "db7e28ffa986a5d06064afc3d9c7d087163e9028133a69fdcbde3590aa006f12",
            signature: "ce2567aa6a67270d464a60756e6f79aa39bc0581ba28514bee4102d5e96fe84e",
        },
        Vector {
            name: "V4",
            body: r#"{"portId":"port-0a1b2c3d"}"#,
            canonical_hash: "3db5b33e05c1135a23c34d7a6f0dbdbe6f6a12a7c0f97308a3287c4bd3750ed4",
            signature: "44f7b72f6767cea71fbe24aed229e1e1701600f22f120f6ffdb50643d528df24",
        },
        Vector {
            name: "V5",
            body: r#"{"portIds":["port-0a1b2c3d","port-4e5f6a7b"]}"#,
            canonical_hash: "356ddcd1d4c77fb8dc9e4a29f69f853e58bda358b07263bd77156b2855aa4ef5",
            signature: "491c15cf2d78cbce148f304ec359c3e666e33f72a583a6878bd35377045bd659",
        },
        Vector {
            name: "V5b",
            body: r#"{"portIds":["port-0a1b2c3d"],"pageNum":1,"pageSize":100}"#,
            canonical_hash: "f3d1adda567b4cabb1c13a488e494f9804d998f01775ada0eb58caa3cd96d1b3",
            signature: "5ad4f2b957e000b19f35371de53a14e3a05f00d23d7c93a5c21915491e23a76d",
        },
        Vector {
            name: "V6",
            body: r#"{"portId":"port-0a1b2c3d","portName":"端口-SIN1-1G","portRemarks":"café ☕ <a&b>"}"#,
            canonical_hash: "62563becaf6176ff207cf0972710b5517d259bef0ca964891317c3468311c47a",
            signature: "54b95181b1691257a950be872bfadd38d21d953a1752d46aef49c8d7d7baaa85",
        },
        Vector {
            name: "V7",
            body: "{}",
            canonical_hash: "2eb6d40a6d77fe762274e366f8d05626427e80b1c9e1a816d9c08676d12257a4",
            signature: "041c8a148f3bad45a30d5750cd805140adc7c701da43a19bc9ec8ebe12b821ec",
        },
    ];

    fn signed<'a>(headers: &'a [(&'a str, &'a str)], body: &'a str) -> Signed<'a> {
        Signed { timestamp: "1700000000", headers, body: body.as_bytes() }
    }

    const HEADERS: &[(&str, &str)] =
        &[("content-type", "application/json"), ("host", "console.zenlayer.com")];
    const PASSWORD: &str = "zl-secret-EXAMPLE-0123456789abcdef";

    #[test]
    fn the_official_sdk_signs_the_same() {
        for vector in VECTORS {
            let signed = signed(HEADERS, vector.body);
            let canonical_hash = hex(&Sha256::digest(canonical_request(&signed)));
            assert_eq!(canonical_hash, vector.canonical_hash, "canonical request of {}", vector.name);
            assert_eq!(sign(PASSWORD, &signed), vector.signature, "signature of {}", vector.name);
        }
    }

    #[test]
    fn v8_a_port_of_the_host_is_signed() {
        let headers = [("content-type", "application/json"), ("host", "127.0.0.1:8080")];
        let signature = sign(PASSWORD, &signed(&headers, r#"{"portId":"port-0a1b2c3d"}"#));
        assert_eq!(signature, "3bdc6a70638a630c6099c3249fe0a53dcfeb558285612bc2be27fac08fb2eed0");
    }

    #[test]
    fn v9_the_published_example_holds() {
        let signed = Signed {
            timestamp: "1673361177",
            headers: &[("content-type", "application/json; charset=utf-8"), ("host", "console.zenlayer.com")],
            body: br#"{"pageSize":10,"pageNum":1,"zoneId":"HKG-A"}"#,
        };
        assert_eq!(
            authorization("0D9UtpyKYcHxms5v", "Gu5t9xGARNpq86cd98joQYCN3", &signed),
            "ZC2-HMAC-SHA256 Credential=0D9UtpyKYcHxms5v, SignedHeaders=content-type;host, \
             Signature=efb356c32e55c781e10dc676da59462c22596d82e91c57803666243379555b2f"
        );
    }

    #[test]
    fn a_header_is_read_only_when_well_formed() {
        let signature = "0".repeat(64);
        let with =
            |names: &str| format!("{METHOD} Credential=id, SignedHeaders={names}, Signature={signature}");
        assert!(Authorization::parse(&with("content-type;host")).is_some());
        assert!(Authorization::parse(&with("content-type;host;x-zc-action")).is_some(), "more may be signed");
        assert!(Authorization::parse(&with("host;content-type")).is_none(), "not sorted");
        assert!(Authorization::parse(&with("host")).is_none(), "the content type is not signed");
        assert!(Authorization::parse(&with("content-type;host").replace("ZC2", "TC3")).is_none());
        assert!(Authorization::parse(&format!("{}, More=1", with("content-type;host"))).is_none());
        assert!(Authorization::parse("").is_none());
    }
}
