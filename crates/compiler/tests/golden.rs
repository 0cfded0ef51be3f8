//! One file of YAML documents in; snapshot, credentials, findings and statuses out. The files under
//! `golden/` are named after what they show.

#![cfg(test)]

mod support;

#[test]
fn golden() {
    insta::glob!("golden/*.yaml", |path| {
        let text = std::fs::read_to_string(path).expect("the file is there");
        let compiled = compiler::compile(&support::yaml(&text));
        let mut settings = insta::Settings::clone_current();
        settings.set_sort_maps(false);
        settings.set_omit_expression(true);
        settings.set_prepend_module_to_snapshot(false);
        settings.bind(|| insta::assert_yaml_snapshot!(support::golden(&compiled)));
    });
}
