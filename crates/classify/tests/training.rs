//! The trainer, on a few prompts of this test's own; and the embedded model, on the prompts that
//! `MONIKER_DATA` names.
#![cfg(test)]

use std::{env, fs, path::PathBuf};

use classify::{
    Category, Detector, Report, Scratch,
    dataset::{Prompt, prompts},
    training::{Data, TrainError, train},
};

/// Prompts of two sources, three of each category.
fn small() -> Vec<Prompt> {
    let of = |category: Category, texts: [&str; 3]| {
        texts.map(|text| Prompt {
            text: text.to_owned(),
            category: Some(category.name().to_owned()),
            source: if text.len() % 2 == 0 { "letters one".into() } else { "notes".into() },
            style: "natural".into(),
        })
    };
    [
        of(
            Category::Coding,
            ["Write a loop in C", "Why does `x[0]` fail in Python?", "SQL to count rows"],
        ),
        of(
            Category::ContentWriting,
            ["Write an ode to tea", "A letter to my aunt", "Rewrite this kindly"],
        ),
        of(Category::Translation, ["Translate: hola", "Say thanks in Greek", "ciao in English?"]),
        of(
            Category::Classification,
            ["Spam or not: win!", "Positive or negative? Bad.", "Which topic is this?"],
        ),
        of(
            Category::Summarization,
            ["Summarize the memo", "tl;dr of the report", "The gist of this text"],
        ),
        of(
            Category::MathReasoning,
            ["What is 3 + 4?", "Solve 2x = 6", "Half of 18 apples is how many?"],
        ),
        of(
            Category::QuestionAnswering,
            ["Who wrote Emma?", "Why is snow white?", "How do I boil eggs?"],
        ),
    ]
    .concat()
}

#[test]
fn the_same_prompts_give_the_same_bytes() {
    let prompts = small();
    let data = Data { train: &prompts, templates: &[], dev: &prompts };
    let (one, other) = (train(&data).unwrap(), train(&data).unwrap());
    assert!(one.model == other.model, "the model differs");
    assert_eq!(one.text, other.text);
    assert!(one.dev.accuracy() > 0.9, "{}", one.text);
    assert_eq!(one.held_out.total(), 42, "each prompt is of a family that is held out, twice");
    let detector = Detector::from_model(&one.model).unwrap();
    let found = detector.detect("Translate to Danish: thanks", &mut Scratch::default());
    assert_eq!(found.category, Category::Translation);
}

#[test]
fn a_label_that_is_none_is_named() {
    let mut prompts = small();
    prompts[4].category = Some("poetry".into());
    let error = train(&Data { train: &prompts, templates: &[], dev: &[] }).unwrap_err();
    assert!(matches!(&error, TrainError::Label { split: "train", at: 5, .. }), "{error}");
    assert!(error.to_string().contains("`poetry` is no built-in category"), "{error}");
}

fn data(name: &str) -> Option<Vec<Prompt>> {
    let Some(dir) = env::var_os("MONIKER_DATA") else {
        println!("skipped: MONIKER_DATA names no directory with prompts/{name}.jsonl");
        return None;
    };
    let file = PathBuf::from(dir).join("prompts").join(name).with_extension("jsonl");
    Some(prompts(&fs::read_to_string(file).unwrap()).unwrap())
}

fn measure<'a>(prompts: impl Iterator<Item = &'a Prompt>) -> Report {
    let mut report = Report::new(Category::ALL.map(Category::name));
    let mut scratch = Scratch::default();
    for prompt in prompts {
        let found = Detector::builtin().detect(&prompt.text, &mut scratch);
        report.count(prompt.category.as_deref().unwrap(), found.category.name(), found.confidence);
    }
    report
}

#[test]
fn the_embedded_model_is_right_on_the_prompts_it_never_saw() {
    let Some(dev) = data("dev") else { return };
    let report = measure(dev.iter());
    println!("{}\n{}", report.summary(), report.confusion());
    assert!(report.accuracy() >= 0.86, "{}", report.summary());
    assert!(report.macro_f1() >= 0.86, "{}", report.summary());
}

/// Prompts in other languages, five to seven of each category: written for this test, none of them
/// in the grammar of the training.
#[test]
fn other_languages_are_told_apart_less_surely_but_mostly() {
    let mut report = Report::new(Category::ALL.map(Category::name));
    let mut scratch = Scratch::default();
    for (category, texts) in FOREIGN {
        for text in *texts {
            let found = Detector::builtin().detect(text, &mut scratch);
            report.count(category.name(), found.category.name(), found.confidence);
        }
    }
    println!("{}\n{}", report.summary(), report.confusion());
    assert!(report.accuracy() >= 0.7, "{}\n{}", report.summary(), report.confusion());
}

const FOREIGN: &[(Category, &[&str])] = &[
    (
        Category::Coding,
        &[
            "Mi programa en Python se cierra al abrir un archivo grande, ¿cómo lo depuro?",
            "Erkläre mir den Unterschied zwischen Zeigern und Referenzen in C++",
            "Écris une requête SQL qui donne le nombre de clients par pays",
            "Как настроить nginx для работы с Docker?",
            "用 Java 写一个单例模式的例子",
            "Pythonでファイルを読み込む方法を教えてください",
        ],
    ),
    (
        Category::ContentWriting,
        &[
            "Escribe una carta de despedida para una compañera de trabajo",
            "Verfasse eine lustige Rede zum Geburtstag meiner Oma",
            "Rédige un discours de mariage touchant",
            "Придумай сказку про лису и зайца",
            "帮我写一封求职信",
            "Scrivi un racconto breve ambientato a Venezia",
        ],
    ),
    (
        Category::Translation,
        &[
            "¿Cómo se dice \"buenas noches\" en alemán?",
            "Übersetze ins Italienische: Wir kommen morgen an.",
            "Traduisez en anglais : Le magasin ferme à huit heures.",
            "Переведи на немецкий: Я живу в Москве.",
            "把这句话翻译成法语：我喜欢音乐。",
            "次の文を英語に翻訳してください：私は学生です。",
        ],
    ),
    (
        Category::Classification,
        &[
            "Clasifica esta reseña como positiva o negativa: el hotel estaba sucio",
            "Ist diese Bewertung positiv oder negativ? Das Essen war kalt.",
            "Ce message est-il un spam ou non ? Gagnez un voyage !",
            "Определи тональность отзыва: фильм просто ужасный",
            "判断这条评论是正面还是负面：服务很差",
        ],
    ),
    (
        Category::Summarization,
        &[
            "Resume el siguiente texto: La empresa anunció ayer la compra de una fábrica en el norte.",
            "Fasse den Artikel in zwei Sätzen zusammen: Der Rat beschloss gestern den Bau der Brücke.",
            "Résume ce texte : Le musée a rouvert ses portes après deux ans de travaux.",
            "Кратко перескажи статью: Учёные нашли новый вид рыб в глубоком озере.",
            "请用一句话总结：公司昨天宣布将在明年开设三家新店。",
        ],
    ),
    (
        Category::MathReasoning,
        &[
            "Calcula el área de un triángulo de base 10 y altura 4",
            "Löse die Gleichung 5x + 3 = 18",
            "Combien font 15 % de 240 ?",
            "Реши уравнение x^2 - 4x + 3 = 0",
            "小明有 15 个糖果，分给 3 个朋友，每人几个？",
            "Una macchina percorre 180 km in 2 ore: qual è la velocità media?",
        ],
    ),
    (
        Category::QuestionAnswering,
        &[
            "¿Quién pintó Las meninas?",
            "Warum ist Schlaf so wichtig?",
            "Quelle est la capitale du Canada ?",
            "Почему птицы улетают на юг?",
            "什么是量子力学？",
            "日本で一番高い山は何ですか",
            "Quali sono i sintomi dell'influenza?",
        ],
    ),
];
