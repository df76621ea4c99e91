//! What in a record's text, or in a model's sentence, reads like an instruction, and what is hidden.
//!
//! This is the first of three walls and the weakest: words can be chosen so that no pattern knows
//! them. The second is that the model is given nothing that is worth revealing and can do nothing;
//! the third is the gate, which lets only cited and carried sentences out.

use regex::RegexSet;
use std::sync::LazyLock;

static PATTERNS: LazyLock<Option<RegexSet>> = LazyLock::new(|| {
    RegexSet::new([
        // To set aside what was said.
        r"(?i)\b(?:ignore|disregard|forget|override|skip|bypass|drop)\b.{0,30}\b(?:all|any|previous|prior|above|earlier|preceding|your|these|those|system)\b.{0,30}\b(?:instructions?|prompts?|rules?|messages?|guidelines?|context|directives?|constraints?|policy|policies|told|said)\b",
        r"(?i)\b(?:previous|prior|above|earlier|new|updated|system|hidden|secret)\s+(?:instructions?|prompts?|directives?)\b",
        // To be somebody else.
        r"(?i)\b(?:you\s+are\s+(?:now|an?|the|in)|you(?:'re|\s+are)\s+(?:required|instructed|allowed|free)|you\s+(?:must|shall|will\s+now|have\s+to)|act\s+as|pretend\s+(?:to|that|you)|role-?play|from\s+now\s+on|developer\s+mode|jailbreak\s+mode|your\s+(?:task|role|job|instructions?|system|answer|response|reply|output|final|new|goal|rules?))\b",
        r"(?i)\bif\s+you\s+are\s+(?:an?\s+)?(?:ai|llm|language\s+model|assistant|model|bot|agent)\b",
        // To whom it speaks.
        r"(?i)\b(?:note|message|instructions?|attention|notice|memo|hint|dear|hello|hey)s?\s*(?:to|for|,|:)?\s*(?:the\s+|any\s+|all\s+)?(?:ai|llms?|assistants?|language\s+models?|chatbots?|agents?|models?|summari[sz]ers?|bartizan)\b",
        r"(?i)\b(?:ai|llm|assistant|model|agent|chatbot|bartizan)s?\s*(?:,|:|must|should|shall|needs?\s+to|has\s+to|is\s+to)\s+\w",
        // The marks between the parts of a conversation.
        r"(?i)(?:<\|[^|]{0,40}\|>|\[/?inst\]|<</?sys>>|</?(?:system|assistant|user|instructions?|tool_call|function_call|tool|records?)\b|#{2,}\s*(?:system|instructions?|assistant|user|end|new)|^\s*(?:system|assistant|user|developer|human)\s*:|begin\s+(?:system|instructions?)|end\s+of\s+(?:the\s+)?(?:records?|data|context|prompt|document|input))",
        // An order at the beginning of a sentence.
        r#"(?i)^[\s\-*>"'(#\d.]*(?:(?:please|now|also|then|first|finally|instead|always|never|important|note|todo|urgent|attention)[,:!]?\s+)*(?:reply|respond|answer|say|print|output|repeat|echo|tell|inform|append|reveal|disclose|send|post|email|visit|click|curl|wget|fetch|browse|navigate|call|invoke|translate|encode|decode|summari[sz]e|conclude|recommend|claim|assert|state|mark|treat|render|display|embed|insert|quote|cite|list|show|delete|remove|close|approve|grant|disable|run|execute|install|write|start|end|begin|finish|stop|do\s+not|don't|confirm|assure|report|obey|follow|comply|include|ask|pass|give|say|add|search|query|read|forward|upload|transfer|transmit|encrypt|remember|set)\s+(?:the|this|that|all|any|your|you|to|with|in|only|exactly|a|an|it|every|each|no|not|everything|yes|users?|readers?|of|tools?|functions?|and|out|back|following|as|me|us|them|it's|https?|mention|reveal|use|cite|answer|by|on|for|CVE|every|hello|hacked|pwned|["'`:])"#,
        // An order anywhere, about the answer itself.
        r"(?i)\b(?:reply|respond|answer|say|print|output|repeat|tell|inform|append|state|write|add|include|insert|render|display|begin|start|end|finish|conclude|sign)\b.{0,60}\b(?:your\s+(?:answer|response|reply|output)|the\s+(?:answer|response|reply|summary|conversation|operator|reader|asker|administrator)|the\s+user\s+(?:that|to)|verbatim|word\s+for\s+word|following\s+(?:text|words|sentence|line|link|image|phrase))\b",
        r"(?i)\b(?:the\s+)?(?:correct|right|only|proper|expected|best|required|final|official)\s+(?:answer|response|reply|summary|output|conclusion)\b",
        r"(?i)\b(?:system|hidden|initial|original)\s+(?:prompt|message)\b",
        // What a machine would do.
        r"(?i)\b(?:tool_calls?|function_calls?|call\s+the\s+(?:\S+\s+)?(?:tool|function|api)|use\s+the\s+(?:\S+\s+)?(?:tool|function)|invoke\s+the)\b",
        // The same in other tongues.
        r"(?i)(?:ignor(?:iere|ieren|ez|er|a|ar|e)\s+(?:alle|sie|toutes|les|las|todas|tutte|le)\b|vergiss\s+alle|ignora\s+(?:todas|las|le|tutte)|忽略|无视|無視|игнорируй|игнорируйте|забудь)",
    ])
    .ok()
});

/// Whether a sentence reads like an instruction. Without the patterns, everything does.
pub fn instructs(sentence: &str) -> bool {
    PATTERNS
        .as_ref()
        .is_none_or(|patterns| patterns.is_match(sentence))
}

/// A text without what is hidden in it and without sentences that read like instructions. The
/// second value counts those.
pub fn tame(text: &str) -> (String, usize) {
    let visible = visible(text);
    let mut left_out = 0;
    let mut kept = String::with_capacity(visible.len());
    for sentence in crate::words::sentences(&visible) {
        if instructs(sentence) {
            left_out += 1;
            continue;
        }
        if !kept.is_empty() {
            kept.push(' ');
        }
        kept.push_str(sentence);
    }
    (kept, left_out)
}

/// Only what a person would see: no control characters, no directions of writing, no characters
/// without width, none of the tags that carry text that nobody sees.
pub fn visible(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\n' | '\t' => Some(c),
            '\r' => Some('\n'),
            c if c.is_control() => None,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' => None,
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => None,
            '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}' => None,
            '\u{2028}' | '\u{2029}' => Some('\n'),
            c => Some(c),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_records_really_say_is_left_alone() {
        for text in [
            "A buffer overflow in Acme Rocket before 2.0 allows remote attackers to execute arbitrary code.",
            "Use after free in V8 in Google Chrome prior to 121.0 allowed a remote attacker to exploit heap corruption.",
            "Open redirect in the login page lets attackers send users to other sites.",
            "The application discloses passwords, tokens and environment variables in its logs.",
            "Users should upgrade to 1.2.3; no workaround is known.",
            "Missing authorization lets any user delete all messages of the system.",
            "LangChain is vulnerable to prompt injection, by which attackers run code through the model.",
        ] {
            assert_eq!(tame(text), (text.to_owned(), 0));
        }
    }

    #[test]
    fn what_is_hidden_is_gone() {
        assert_eq!(
            visible("a\u{200b}b\u{202e}c\u{e0041}d\u{1b}[31m"),
            "abcd[31m"
        );
    }
}
