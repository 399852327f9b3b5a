//! The signature `ZC2-HMAC-SHA256` (`docs/zenlayer-api.md`, signature), as pure functions.
//!
//! It covers the method, content type, host, body, and time; neither action nor version nor path.

use aws_lc_rs::{digest, hmac};

/// The name of the method, also the first line of what is signed.
pub(super) const METHOD: &str = "ZC2-HMAC-SHA256";

const SIGNED_HEADERS: &str = "content-type;host";

/// What a signature covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToSign<'a> {
    /// `Content-Type`, exactly as sent.
    pub(super) content_type: &'a str,
    /// `Host`, exactly as sent: lower case, with a port that is not the scheme's own.
    pub(super) host: &'a str,
    /// The body, exactly as sent.
    pub(super) body: &'a [u8],
    /// Unix time in seconds; Zenlayer accepts five minutes of difference.
    pub(super) timestamp: i64,
}

impl ToSign<'_> {
    /// The value of `Authorization`.
    pub(super) fn authorization(&self, key_id: &str, password: &str) -> String {
        let signature = self.signature(password);
        format!("{METHOD} Credential={key_id}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}")
    }

    fn signature(&self, password: &str) -> String {
        let to_sign = format!("{METHOD}\n{}\n{}", self.timestamp, self.request_hash());
        let key = hmac::Key::new(hmac::HMAC_SHA256, password.as_bytes());
        hex(hmac::sign(&key, to_sign.as_bytes()).as_ref())
    }

    /// The hash of the canonical request, whose path is always `/` and whose query is always empty.
    fn request_hash(&self) -> String {
        let Self { content_type, host, .. } = self;
        let payload = self.payload_hash();
        let canonical =
            format!("POST\n/\n\ncontent-type:{content_type}\nhost:{host}\n\n{SIGNED_HEADERS}\n{payload}");
        hex(&sha256(&[canonical.as_bytes()]))
    }

    fn payload_hash(&self) -> String {
        hex(&sha256(&[self.body]))
    }
}

/// The SHA-256 of the parts, one after the other.
pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers (`docs/zenlayer-api.md`, test vectors).
    struct Vector {
        name: &'static str,
        host: &'static str,
        body: &'static str,
        payload_hash: &'static str,
        request_hash: &'static str,
        signature: &'static str,
    }

    const HOST: &str = "console.zenlayer.com";

    const VECTORS: [Vector; 9] = [
        Vector {
            name: "V1",
            host: HOST,
            body: r#"{"portId": "port-0a1b2c3d"}"#,
            payload_hash: "d40611b2cce1b88fd32636246b2a4db6c0b856297beff3e28718bd519f8f2c01",
            request_hash: "c5e9a84467af7291e4bc419ba51141e5ce788b55d649b6afdb830db4b3506f77",
            signature: "6bffa5d136dea3e62a5d303c9e88632934c51e1e65b4211f612bc1bbf21c8405",
        },
        Vector {
            name: "V2",
            host: HOST,
            body: r#"{"portIds": ["port-0a1b2c3d", "port-4e5f6a7b"]}"#,
            payload_hash: "154ca62504d7e5631cc664d3a3198bfa3258fdd540ffd54347228a016aaef4cb",
            request_hash: "b6730f5b0d1bed88615b4e2199b1dd5f27506402a953fbb540d8c6af5dc45741",
            signature: "ed9b9188e8ce06bb588898901dd2adaeb66f3519535a7744705a2f3c97fe852f",
        },
        Vector {
            name: "V3",
            host: HOST,
            body: r#"{"portId": "port-0a1b2c3d", "portName": "\u7aef\u53e3-SIN1-1G", "portRemarks": "caf\u00e9 \u2615 <a&b>"}"#,
            payload_hash: "18d01fddac44b563de5d3aa699a70f8b18d2ac0ef2892c12111518f4cda44c13",
            request_hash: "db7e28ffa986a5d06064afc3d9c7d087163e9028133a69fdcbde3590aa006f12",
            signature: "ce2567aa6a67270d464a60756e6f79aa39bc0581ba28514bee4102d5e96fe84e",
        },
        Vector {
            name: "V4",
            host: HOST,
            body: r#"{"portId":"port-0a1b2c3d"}"#,
            payload_hash: "8bc460e24baeed7944af62c0ad46713fb1069827bb913cbe4bd73f8a67e17a2b",
            request_hash: "3db5b33e05c1135a23c34d7a6f0dbdbe6f6a12a7c0f97308a3287c4bd3750ed4",
            signature: "44f7b72f6767cea71fbe24aed229e1e1701600f22f120f6ffdb50643d528df24",
        },
        Vector {
            name: "V5",
            host: HOST,
            body: r#"{"portIds":["port-0a1b2c3d","port-4e5f6a7b"]}"#,
            payload_hash: "4a309903dc219b2ee98c262a5e776f7f68fdd50b85f5e29f706be4f4d6d17264",
            request_hash: "356ddcd1d4c77fb8dc9e4a29f69f853e58bda358b07263bd77156b2855aa4ef5",
            signature: "491c15cf2d78cbce148f304ec359c3e666e33f72a583a6878bd35377045bd659",
        },
        Vector {
            name: "V5b",
            host: HOST,
            body: r#"{"portIds":["port-0a1b2c3d"],"pageNum":1,"pageSize":100}"#,
            payload_hash: "211eace44d526df6ee32e62252ce031917daf0e7b7a5adeb6e6d59759b7fab3e",
            request_hash: "f3d1adda567b4cabb1c13a488e494f9804d998f01775ada0eb58caa3cd96d1b3",
            signature: "5ad4f2b957e000b19f35371de53a14e3a05f00d23d7c93a5c21915491e23a76d",
        },
        Vector {
            name: "V6",
            host: HOST,
            body: r#"{"portId":"port-0a1b2c3d","portName":"端口-SIN1-1G","portRemarks":"café ☕ <a&b>"}"#,
            payload_hash: "5b4b78b0c691d446e350b97bd6a3f99405cb7a942229e0fb0af43223dbd0a340",
            request_hash: "62563becaf6176ff207cf0972710b5517d259bef0ca964891317c3468311c47a",
            signature: "54b95181b1691257a950be872bfadd38d21d953a1752d46aef49c8d7d7baaa85",
        },
        Vector {
            name: "V7",
            host: HOST,
            body: "{}",
            payload_hash: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            request_hash: "2eb6d40a6d77fe762274e366f8d05626427e80b1c9e1a816d9c08676d12257a4",
            signature: "041c8a148f3bad45a30d5750cd805140adc7c701da43a19bc9ec8ebe12b821ec",
        },
        Vector {
            name: "V8",
            host: "127.0.0.1:8080",
            body: r#"{"portId":"port-0a1b2c3d"}"#,
            payload_hash: "8bc460e24baeed7944af62c0ad46713fb1069827bb913cbe4bd73f8a67e17a2b",
            request_hash: "bb443755ec29a018abd37606b3c8360dff088b993cb15e00f9d7d952fed711a1",
            signature: "3bdc6a70638a630c6099c3249fe0a53dcfeb558285612bc2be27fac08fb2eed0",
        },
    ];

    #[test]
    fn the_known_answers_of_the_official_sdk_are_reproduced() {
        for vector in VECTORS {
            let Vector { name, host, body, .. } = vector;
            let to_sign = ToSign {
                content_type: "application/json",
                host,
                body: body.as_bytes(),
                timestamp: 1_700_000_000,
            };
            assert_eq!(to_sign.payload_hash(), vector.payload_hash, "{name}: payload");
            assert_eq!(to_sign.request_hash(), vector.request_hash, "{name}: canonical request");
            assert_eq!(
                to_sign.authorization("ZLKEYEXAMPLE0001", "zl-secret-EXAMPLE-0123456789abcdef"),
                format!(
                    "ZC2-HMAC-SHA256 Credential=ZLKEYEXAMPLE0001, SignedHeaders=content-type;host, Signature={}",
                    vector.signature
                ),
                "{name}: signature"
            );
        }
    }

    #[test]
    fn the_published_example_of_zenlayer_is_reproduced() {
        let to_sign = ToSign {
            content_type: "application/json; charset=utf-8",
            host: HOST,
            body: br#"{"pageSize":10,"pageNum":1,"zoneId":"HKG-A"}"#,
            timestamp: 1_673_361_177,
        };
        assert_eq!(
            to_sign.payload_hash(),
            "5f714687ba91c606d503467766151206392474accd137ffea6dce2420b67c29a"
        );
        assert_eq!(
            to_sign.request_hash(),
            "29396f9dfa0f03820b931e8aa06e20cda197e73285ebd76aceb83f7dede493ee"
        );
        assert_eq!(
            to_sign.signature("Gu5t9xGARNpq86cd98joQYCN3"),
            "efb356c32e55c781e10dc676da59462c22596d82e91c57803666243379555b2f"
        );
    }
}
