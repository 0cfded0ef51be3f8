//! Tokens and signatures over real sockets: a provider that checks a signature by itself, an issuer
//! that gives tokens, and rotations in the middle.

use aws_lc_rs::{
    digest,
    encoding::{AsDer as _, Pkcs8V1Der},
    hmac,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use routing::{
    AuthKind,
    material::{AwsKey, GoogleKey, Material},
    snapshot::CompiledOptions,
};
use serde_json::Value;

use crate::{
    rig::{Rig, World, ask},
    upstream::{Seen, Upstream, chat, refused, response},
};

const SECRET: &str = "canary/wJalrXUtnFEMI+K7MDENG";

fn aws(secret: &str, token: Option<&str>) -> Material {
    Material::Aws(AwsKey {
        access_key_id: "AKIDCANARY".into(),
        secret_access_key: secret.into(),
        session_token: token.map(Into::into),
    })
}

/// A lineup whose first target signs with this key.
fn signing(upstreams: &[&Upstream], key: Material, role: Option<&str>) -> World {
    let mut world = World::over(upstreams).target(0, |target| {
        target.auth.kind = AuthKind::AWSSigV4;
        target.options = CompiledOptions::Bedrock {
            region: "eu-west-1".to_owned(),
            role_arn: role.map(str::to_owned),
        };
    });
    world.secrets.insert(world.targets[0].id.clone(), key);
    world
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// The parts of `authorization`: the credential's scope, the names of the signed headers, the
/// signature.
pub(crate) fn parts(seen: &Seen) -> (String, String, String) {
    let text = seen.header("authorization").unwrap();
    let rest = text.strip_prefix("AWS4-HMAC-SHA256 ").unwrap();
    let part = |name: &str| {
        let mut parts = rest.split(", ");
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap().to_owned()
    };
    (part("Credential"), part("SignedHeaders"), part("Signature"))
}

/// The signature that a request as it came should have, worked out from what came alone.
pub(crate) fn expected(seen: &Seen, secret: &str) -> String {
    let (scope, signed, _) = parts(seen);
    let scope = scope.split_once('/').unwrap().1;
    let mut line = seen.head.lines().next().unwrap().split(' ');
    let (method, target) = (line.next().unwrap(), line.next().unwrap());
    let mut canonical = format!("{method}\n{}\n\n", target.replace('%', "%25"));
    for name in signed.split(';') {
        canonical += &format!("{name}:{}\n", seen.header(name).unwrap());
    }
    canonical += &format!("\n{signed}\n{}", sha256(&seen.body));
    let date = seen.header("x-amz-date").unwrap();
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/').chain([text.as_str()]) {
        key =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    hex::encode(key)
}

#[tokio::test]
async fn a_request_is_signed_as_it_is_sent() {
    let upstream = Upstream::always(chat("hi")).await;
    let rig = Rig::start(signing(&[&upstream], aws(SECRET, Some("canary-token")), None)).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    let seen = &upstream.seen()[0];
    let (credential, signed, signature) = parts(seen);
    assert!(
        credential.starts_with("AKIDCANARY/")
            && credential.ends_with("/eu-west-1/bedrock/aws4_request")
    );
    assert_eq!(signed, "content-type;host;x-amz-date;x-amz-security-token");
    assert_eq!(seen.header("x-amz-security-token"), Some("canary-token"));
    assert_eq!(signature, expected(seen, SECRET));
    assert_ne!(signature, expected(seen, "another"));
    // The body that is signed is the one that is rewritten for this target.
    assert!(seen.text().contains("up-t0"), "{}", seen.text());
}

#[tokio::test]
async fn another_access_key_signs_the_next_request() {
    let upstream = Upstream::always(chat("hi")).await;
    let rig = Rig::start(signing(&[&upstream], aws(SECRET, None), None)).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    rig.apply(&signing(&[&upstream], aws("another", None), None));
    assert_eq!(rig.chat(ask()).await.status, 200);
    let seen = upstream.seen();
    assert_eq!(parts(&seen[0]).2, expected(&seen[0], SECRET));
    assert_eq!(parts(&seen[1]).2, expected(&seen[1], "another"));
}

#[tokio::test]
async fn what_a_provider_says_of_a_key_is_scrubbed() {
    let said = format!("{{\"message\":\"bad {SECRET} and canary-token\"}}");
    let upstream = Upstream::always(response("400 Bad Request", "", &said)).await;
    let rig = Rig::start(signing(&[&upstream], aws(SECRET, Some("canary-token")), None)).await;
    let answer = rig.chat(ask()).await;
    assert_eq!(answer.status, 400);
    assert!(!answer.body.contains("canary"), "{}", answer.body);
}

/// A service account's key: its material, and what checks its signatures.
fn account(issuer: &Upstream) -> (Material, Vec<u8>) {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    let material = Material::Google(GoogleKey {
        client_email: "m@p.iam.gserviceaccount.com".to_owned(),
        private_key_id: Some("k1".to_owned()),
        private_key: pem.into(),
        token_uri: format!("http://{}/token", issuer.addr),
    });
    (material, pair.public_key().as_ref().to_vec())
}

pub(crate) fn token(token: &str) -> Vec<crate::upstream::Do> {
    let body = format!(r#"{{"access_token":"{token}","expires_in":3600,"token_type":"Bearer"}}"#);
    response("200 OK", "", &body)
}

/// A lineup whose first target is authenticated by tokens for this key.
fn tokens(upstreams: &[&Upstream], key: &Material) -> World {
    let mut world = World::over(upstreams)
        .target(0, |target| target.auth.kind = AuthKind::GoogleServiceAccount);
    world.secrets.insert(world.targets[0].id.clone(), key.clone());
    world
}

#[tokio::test]
async fn a_service_accounts_token_goes_with_every_request() {
    let (upstream, issuer) =
        (Upstream::always(chat("hi")).await, Upstream::always(token("tok-1")).await);
    let (key, public) = account(&issuer);
    let rig = Rig::start(tokens(&[&upstream], &key)).await;
    // At once, while the token is on its way; and later.
    for _ in 0..3 {
        assert_eq!(rig.chat(ask()).await.status, 200);
    }
    for seen in upstream.seen() {
        assert_eq!(seen.header("authorization"), Some("Bearer tok-1"));
    }
    // One fetch for all.
    let asked = issuer.seen();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].head.starts_with("POST /token "), "{}", asked[0].head);
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let assertion = asked[0].text().strip_prefix(grant).unwrap();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public)
        .verify(signed.as_bytes(), &signature)
        .unwrap();
    let part = |i: usize| -> Value {
        let text = URL_SAFE_NO_PAD.decode(signed.split('.').nth(i).unwrap()).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    assert_eq!(part(0), serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    let claims = part(1);
    assert_eq!(claims["iss"], "m@p.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], format!("http://{}/token", issuer.addr));
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
}

#[tokio::test]
async fn a_rotated_key_is_in_use_without_a_failed_request() {
    let upstream = Upstream::always(chat("hi")).await;
    let old = Upstream::always(token("tok-1")).await;
    let new = Upstream::always(vec![crate::upstream::Do::Wait]).await;
    let rig = Rig::start(tokens(&[&upstream], &account(&old).0)).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    // The issuer of the new key takes its time: what was given for the old one goes on meanwhile.
    new.next([vec![crate::upstream::Do::Wait], token("tok-2")].concat());
    rig.apply(&tokens(&[&upstream], &account(&new).0));
    new.asked(1).await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    new.go_on();
    let carried = |seen: &Seen| seen.header("authorization").unwrap().to_owned();
    while carried(upstream.seen().last().unwrap()) != "Bearer tok-2" {
        assert_eq!(rig.chat(ask()).await.status, 200);
    }
    assert_eq!(carried(&upstream.seen()[1]), "Bearer tok-1");
}

#[tokio::test]
async fn without_a_token_the_next_target_is_asked() {
    let (first, second) = (Upstream::always(chat("hi")).await, Upstream::always(chat("yo")).await);
    let refusal = r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
    let issuer = Upstream::always(response("400 Bad Request", "", refusal)).await;
    let (key, _) = account(&issuer);
    let rig = Rig::start(tokens(&[&first, &second], &key)).await;
    let full = [("x-moniker-metadata", "full")];
    let answer = rig.post_with("/v1/chat/completions", ask(), &full).await;
    assert_eq!((answer.status, answer.target()), (200, "t1"));
    assert!(answer.body.contains("Invalid JWT Signature."), "{}", answer.body);
    assert_eq!(first.count(), 0);
    // Where nobody answers it is a failure to connect, which heals sooner.
    let gone = refused().await;
    let Material::Google(mut key) = key else { unreachable!() };
    key.token_uri = format!("http://{gone}/token");
    let rig = Rig::start(tokens(&[&first, &second], &Material::Google(key))).await;
    let answer = rig.post_with("/v1/chat/completions", ask(), &full).await;
    assert_eq!((answer.status, answer.target()), (200, "t1"));
    assert!(answer.body.contains("Connect"), "{}", answer.body);
}

/// An answer of AWS's token service.
pub(crate) fn assumed(secret: &str) -> Vec<crate::upstream::Do> {
    let body = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/moniker</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>session-1</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>\
         </Credentials></AssumeRoleResult></AssumeRoleResponse>"
    );
    response("200 OK", "", &body)
}

#[tokio::test]
async fn a_role_is_assumed_with_the_key() {
    let (upstream, sts) =
        (Upstream::always(chat("hi")).await, Upstream::always(assumed("of-role")).await);
    let role = "arn:aws:iam::123456789012:role/bedrock";
    let world = signing(&[&upstream], aws(SECRET, None), Some(role));
    let rig =
        Rig::with_environment(world, &[("AWS_ENDPOINT_URL_STS", format!("http://{}/", sts.addr))])
            .await;
    assert_eq!(rig.chat(ask()).await.status, 200);
    let asked = &sts.seen()[0];
    assert!(asked.text().starts_with("Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3A"));
    assert!(parts(asked).0.ends_with("/eu-west-1/sts/aws4_request"));
    assert_eq!(parts(asked).2, expected(asked, SECRET));
    let seen = &upstream.seen()[0];
    assert!(parts(seen).0.starts_with("ASIA1/"));
    assert_eq!(seen.header("x-amz-security-token"), Some("session-1"));
    assert_eq!(parts(seen).2, expected(seen, "of-role"));
}
