//! Tests of the tree.

use super::*;

#[test]
fn order_and_numbers_stay() {
    let text = r#"{"b":1,"a":[2.5,-3,null,true,"x\n"],"1":18446744073709551615,"z":{}}"#;
    assert_eq!(Json::parse(text.as_bytes()).unwrap().to_text(), text);
}

#[test]
fn members_are_set_in_place_and_taken() {
    let mut value = object! {"a": 1_u64, "b": "x"};
    value.set("a", 2.0);
    value.set_at(&["c", "d"], true);
    assert_eq!(value.to_text(), r#"{"a":2,"b":"x","c":{"d":true}}"#);
    assert_eq!(value.take("b"), Json::from("x"));
    assert!(value.at(&["c", "d"]).is_true() && value.at(&["c", "e", "f"]).is_null());
}

#[test]
fn of_two_members_the_later_counts() {
    let mut value = Json::parse(br#"{"a":1,"a":2}"#).unwrap();
    assert_eq!(value.get("a").u64(), Some(2));
    value.take("a");
    assert_eq!(value, Json::empty());
}

#[test]
fn depth_is_limited() {
    assert!(Json::parse("[".repeat(200).as_bytes()).is_err());
}
