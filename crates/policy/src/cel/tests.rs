//! Expressions and their values.

use super::{Environment, Limits};
use serde_json::{Value as Json, json};

fn evaluate(text: &str) -> Result<Json, String> {
    let object = json!({
        "spec": {"replicas": 3, "ratio": 0.5, "whole": 2.0, "none": null, "list": [1, 2, 3],
            "containers": [
                {"name": "a", "image": "nginx:1", "limits": {"memory": "1Gi"}},
                {"name": "b", "image": "redis", "ports": [{"port": 80}]}]},
        "metadata": {"name": "web", "labels": {"app.kubernetes.io/name": "x"}, "namespace": "n"}
    });
    let environment = Environment::new(&["object", "oldObject"]);
    let program = environment
        .compile(text)
        .map_err(|e| format!("compile: {e}"))?;
    program.evaluate(&[&object, &Json::Null], Limits::default())
}

fn all_true(expressions: &[&str]) {
    let mut wrong = Vec::new();
    for text in expressions {
        let value = evaluate(text);
        if value != Ok(Json::Bool(true)) {
            wrong.push(format!("{text} is {value:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn all_errors(expressions: &[&str]) {
    for text in expressions {
        let value = evaluate(text);
        assert!(value.is_err(), "{text} is {value:?}");
    }
}

#[test]
fn the_core() {
    all_true(&[
        "1 + 2 * 3 == 7",
        "-7 / 2 == -3 && -7 % 2 == -1",
        "1 == 1.0 && 1u == 1 && 2.5 > 2 && 1 < 2u",
        "[1, 2u, 3.0] == [1.0, 2, 3u]",
        "{'a': 1} == {'a': 1.0} && {1: 'x'}[1u] == 'x'",
        "9223372036854775807 != 9223372036854775807.0 - 1024.0",
        "'a' + 'b' == \"ab\" && b'a' + b'b' == b'ab'",
        "'\\u00e9' == 'é' && r'\\n' == '\\\\n' && '''a\n''' == 'a\\n' && '\\x41\\101' == 'AA'",
        "b'\\xff' == b'\\377' && size('é') == 1 && size(b'é') == 2 && 'é'.size() == 1",
        "true ? true : 1 / 0 == 0",
        "false || true && !false",
        "(1 / 0 == 0 || true) && (true || 1 / 0 == 0)",
        "!(1 / 0 == 0 && false)",
        "1 in [1, 2] && 'a' in {'a': 1} && !(3 in [1])",
        "1 != 'a' && null == null && null != 0",
        "'b' > 'a' && false < true && b'b' > b'a'",
        "type(1) == int && type('') == string && type([]) == list && type({}) == map",
        "type(null) == null_type && type(1.0) == double && type(1u) == uint && type(int) == type",
        "type(timestamp('2020-01-01T00:00:00Z')) == google.protobuf.Timestamp",
        "0x1F == 31 && 1e3 == 1000.0 && .5 == 0.5 && -9223372036854775808 < 0",
        "[1, 2, 3,] == [1, 2, 3] && {'a': 1,}.a == 1",
        "// said\n true",
        "dyn(1) == 1 && .object.spec.replicas == 3",
    ]);
    all_errors(&[
        "1 / 0",
        "1 % 0",
        "9223372036854775807 + 1",
        "-(-9223372036854775807 - 1)",
        "1u - 2u",
        "1 + 1u",
        "1 + 1.0",
        "'a' + 1",
        "[1][1]",
        "[1][-1]",
        "{'a': 1}.b",
        "{'a': 1}['b']",
        "1 ? true : false",
        "!1",
        "1 && true",
        "1 / 0 == 0 || false",
        "true && 1 / 0 == 0",
        "'a' < 1",
        "{'a': 1, 'a': 2}",
        "{1.5: 1}",
        "nothing",
        "object.nothing()",
        "1 +",
        "a b",
        "[1, 2",
        "9223372036854775808",
        "''''",
        "has(object)",
        "object.spec.all(1, true)",
        "if",
        "object[?'a'",
        "'\\q'",
        "f(1)",
        "'a'.size(1)",
        "x.y.z",
        "1.size()",
    ]);
}

#[test]
fn objects_of_the_api_server() {
    all_true(&[
        "object.spec.replicas == 3 && type(object.spec.replicas) == int",
        "type(object.spec.ratio) == double && type(object.spec.whole) == double",
        "object.spec.whole == 2 && object.metadata.namespace == 'n'",
        "has(object.spec.none) && object.spec.none == null && !has(object.spec.gone)",
        "!has(object.spec.replicas.x)",
        "object.metadata.labels['app.kubernetes.io/name'] == 'x'",
        "oldObject == null",
        "object.spec.containers.all(c, has(c.name))",
        "object.spec.containers.exists(c, c.?limits.?memory.orValue('') == '1Gi')",
        "object.spec.containers.map(c, c.name).join(',') == 'a,b'",
        "object.spec.containers.filter(c, has(c.ports)).map(c, c.name) == ['b']",
        "object.spec.containers.exists_one(c, c.image.startsWith('nginx'))",
        "object.spec.containers.map(c, has(c.ports), c.ports[0].port) == [80]",
        "object.metadata.labels.all(k, k.contains('/'))",
        "object.metadata.labels.all(k, v, v == 'x')",
        "object == object && object.spec != object.metadata",
        "object.?spec.?gone.hasValue() == false && object[?'spec'].hasValue()",
        "object.?spec.replicas.value() == 3 && object.?gone.x.orValue(1) == 1",
        "object.spec.containers[0].limits.memory == '1Gi'",
    ]);
    assert_eq!(evaluate("object.gone.x"), Err("no such key: gone".into()));
    assert_eq!(evaluate("oldObject.x"), Err("no such key: x".into()));
    all_errors(&[
        "object.spec.replicas.x",
        "has(object.gone.x)",
        "object.spec.containers.all(c, c.ports.size() > 0)",
    ]);
}

#[test]
fn macros_absorb_and_bind() {
    all_true(&[
        "[1, 2, 0].exists(x, 1 / x == 1) && ![0, 2].all(x, 4 / x == 1)",
        "[].all(x, false) && ![].exists(x, true)",
        "[1, 2].map(x, [3].map(y, x * y)) == [[3], [6]]",
        "[1, 2].map(x, [x].map(x, x + 1)[0] + x) == [3, 5]",
        "[1, 2, 3].all(i, v, v == i + 1) && [5].exists(i, v, i == 0 && v == 5)",
        "[1, 1].existsOne(i, v, v == 1) == false && {'a': 1}.existsOne(k, v, k == 'a')",
        "[1, 2, 3].transformList(i, v, i * v + v) == [1, 4, 9]",
        "[1, 2, 3].transformList(i, v, i % 2 == 0, v) == [1, 3]",
        "[1, 2].transformMap(i, v, v * 2) == {0: 2, 1: 4}",
        "{'a': 'b'}.transformMapEntry(k, v, {v: k}) == {'b': 'a'}",
        "optional.of(1).optMap(x, x + 1).value() == 2",
        "optional.of(1).optFlatMap(x, optional.none()) == optional.none()",
        "optional.none().or(optional.of(2)).value() == 2 && optional.of(1).orValue(1 / 0) == 1",
        "optional.ofNonZeroValue('') == optional.none()",
        "[?optional.none(), 1] == [1] && {?'a': optional.of(2)} == {'a': 2}",
        "[1, 2].first().value() == 1 && [1, 2].last().value() == 2 && ![].first().hasValue()",
        "[{'n': 2}, {'n': 1}].sortBy(e, e.n).map(e, e.n) == [1, 2]",
    ]);
    all_errors(&[
        "[0, 2].exists(x, 1 / x == 1)",
        "[0].all(x, 1 / x == 1)",
        "[1, 0].exists_one(x, 1 / x == 1)",
        "[1].map(1, 2)",
        "[1].all(x, x)",
        "optional.none().value()",
        "['a', 'a'].transformMapEntry(i, v, {v: i})",
        "1.map(x, x)",
    ]);
}

#[test]
fn conversions_and_time() {
    all_true(&[
        "int('7') == 7 && int(2.9) == 2 && int(-2.9) == -2 && uint(3) == 3u && double('1.5') == 1.5",
        "string(1.5) == '1.5' && string(1e6) == '1e+06' && string(100.0) == '100' && string(true) == 'true'",
        "string(b'abc') == 'abc' && bytes('é') == b'é' && bool('True')",
        "duration('1h30m') == duration('90m') && string(duration('1.5s')) == '1.5s'",
        "duration('90s').getMinutes() == 1 && duration('1h').getSeconds() == 3600",
        "timestamp('2023-05-06T07:08:09.010Z').getMilliseconds() == 10",
        "timestamp('2024-02-29T00:00:00Z').getDayOfYear() == 59",
        "timestamp('2024-02-29T23:30:00Z').getDate('+01:00') == 1",
        "timestamp('1970-01-01T00:00:00Z').getDayOfWeek() == 4",
        "timestamp('2023-12-31T00:00:00Z').getMonth() == 11 && timestamp('2023-12-31T00:00:00Z').getDayOfMonth() == 30",
        "timestamp('2023-01-01T00:00:00Z') + duration('24h') == timestamp('2023-01-02T00:00:00Z')",
        "timestamp('2023-01-02T00:00:00+01:00') - timestamp('2023-01-01T00:00:00Z') == duration('23h')",
        "string(timestamp('2023-01-02T00:00:00+01:00')) == '2023-01-01T23:00:00Z'",
        "int(timestamp('1970-01-01T00:01:00Z')) == 60 && timestamp(60) == timestamp('1970-01-01T00:01:00Z')",
        "string(timestamp('0001-01-01T00:00:00Z')) == '0001-01-01T00:00:00Z'",
    ]);
    all_errors(&[
        "int('x')",
        "int(1e19)",
        "uint(-1)",
        "string([])",
        "duration('1')",
        "timestamp('2023-02-29T00:00:00Z')",
        "timestamp('9999-12-31T23:59:59Z') + duration('1s')",
        "bool('yes')",
        "int(object)",
    ]);
}

#[test]
fn text_and_patterns() {
    all_true(&[
        "'hello'.charAt(4) == 'o' && 'hello'.charAt(5) == ''",
        "'hello mellow'.indexOf('ello') == 1 && 'hello mellow'.indexOf('ello', 2) == 7",
        "'hello mellow'.indexOf('jello') == -1 && 'hello mellow'.indexOf('', 2) == 2",
        "'hello mellow'.indexOf('ello', 20) == -1 && 'hello mellow'.lastIndexOf('') == 12",
        "'hello mellow'.lastIndexOf('ello') == 7 && 'hello mellow'.lastIndexOf('ello', 6) == 1",
        "'hello mellow'.lastIndexOf('ello', 20) == -1",
        "['a', 'b'].join() == 'ab' && ['a', 'b'].join('-') == 'a-b' && [].join('-') == ''",
        "'TacoCÆt'.lowerAscii() == 'tacocÆt' && 'aé'.upperAscii() == 'Aé'",
        "'hello hello'.replace('he', 'we') == 'wello wello' && 'hello hello'.replace('he', 'we', 1) == 'wello hello'",
        "'ab'.replace('', '_') == '_a_b_' && 'ab'.replace('a', '', 0) == 'ab'",
        "'a b c'.split(' ') == ['a', 'b', 'c'] && 'a b c'.split(' ', 2) == ['a', 'b c'] && 'a'.split(' ', 0) == []",
        "'abc'.split('') == ['a', 'b', 'c'] && 'abc'.split('', 2) == ['a', 'bc']",
        "'tacocat'.substring(4) == 'cat' && 'tacocat'.substring(0, 4) == 'taco'",
        "'  \\ttrim\\n '.trim() == 'trim' && strings.quote('a\"b\\n') == '\"a\\\\\"b\\\\n\"'",
        "'a'.matches('^[a-z]$') && matches('abc', 'b') && !'ab'.matches('^a$')",
        "'abc 123'.find('[0-9]+') == '123' && 'abc'.find('xyz') == ''",
        "'1 a 2'.findAll('[0-9]') == ['1', '2'] && '1 a 2'.findAll('[0-9]', 1) == ['1']",
        "'a1'.matches(['a', '\\\\d'].join()) && !'٣'.matches('^\\\\d$') && 'a-b'.matches('^[a\\\\-b]+$')",
        "'[x]'.matches('^[[]x[]]$') && 'a&&b'.matches('^[a&&b]+$') && 'x\\n'.matches('(?s)x.$')",
        "'%d|%s|%s|%s'.format([1, 'a', 2.5, true]) == '1|a|2.5|true'",
        "'%.2f %f %e'.format([1234.567, 3.14, 2.71828]) == '1,234.57 3.140000 2.718280\u{202f}\u{d7}\u{202f}10\u{2070}\u{2070}'",
        "'%b %x %X %o %%'.format([5, 26, 'hi', 30]) == '101 1a 6869 36 %'",
        "'%s'.format([[1, 'a', {'k': 2.5}]]) == '[1, \"a\", {\"k\":2.500000}]'",
        "'%s'.format([null]) == 'null' && '%s'.format([duration('1h')]) == '3600s'",
    ]);
    all_errors(&[
        "'a'.charAt(-1)",
        "'a'.charAt(2)",
        "'a'.indexOf('a', -1)",
        "'a'.substring(2)",
        "'abc'.substring(2, 1)",
        "'%d'.format(['a'])",
        "'%d %d'.format([1])",
        "'%q'.format([1])",
        "'a'.matches('(')",
        "'a'.matches('\\\\1')",
        "'a'.find('(?x)a')",
        "[1].join()",
        "'abc'.reverse()",
    ]);
}

#[test]
fn lists_and_sets() {
    all_true(&[
        "[1, 2, 3].isSorted() && ['a', 'b', 'b'].isSorted() && ![2.0, 1.0].isSorted() && [].isSorted()",
        "[1, 3].sum() == 4 && [1.5, 0.5].sum() == 2.0 && [].sum() == 0 && [duration('1m'), duration('1s')].sum() == duration('61s')",
        "[1, 3].min() == 1 && [1, 3].max() == 3 && ['b', 'a'].min() == 'a'",
        "[1, 2, 2].indexOf(2) == 1 && [1, 2, 2].lastIndexOf(2) == 2 && [].indexOf('a') == -1",
        "[1, 2].includes(2) && 'a'.includes('a') && !'a'.includes('b')",
        "[1, 2, 3, 4].slice(1, 3) == [2, 3] && [1, [2, [3]]].flatten() == [1, 2, [3]] && [1, [2, [3]]].flatten(2) == [1, 2, 3]",
        "[1, 2, 2, 1].distinct() == [1, 2] && lists.range(3) == [0, 1, 2] && [1, 2].reverse() == [2, 1] && [3, 1, 2].sort() == [1, 2, 3]",
        "sets.contains([1, 2], [2.0]) && sets.equivalent([1], [1, 1u]) && sets.intersects([1], [1, 2]) && !sets.intersects([1], [])",
        "object.spec.list.sum() == 6 && object.spec.list.max() == 3",
    ]);
    all_errors(&[
        "[].min()",
        "[1, 'a'].sort()",
        "[[1]].sort()",
        "[1].slice(0, 2)",
        "[1].flatten(-1)",
        "['a'].sum()",
    ]);
}

#[test]
fn kubernetes_values() {
    all_true(&[
        "quantity('200M').compareTo(quantity('0.2G')) == 0 && quantity('50Mi').isGreaterThan(quantity('50M'))",
        "quantity('50k').add(quantity('20k')) == quantity('70k') && quantity('50k').sub(20000) == quantity('30k')",
        "quantity('50k').add(20).sub(quantity('100k')).sub(-50000) == quantity('20')",
        "isQuantity('1.3Gi') && isQuantity('1e3') && isQuantity('-.5') && !isQuantity('200K') && !isQuantity('Mi') && !isQuantity('1,3G') && !isQuantity('')",
        "quantity('50k').asInteger() == 50000 && quantity('50000000G').isInteger() && !quantity('1500m').isInteger()",
        "quantity('50k').asApproximateFloat() == 50000.0 && sign(quantity('-1')) == -1 && quantity('0.9n') == quantity('1n')",
        "quantity('16Ei') == quantity('9223372036854775807') && quantity('100m') == quantity('0.1')",
        "ip('127.0.0.1').isLoopback() && ip('::1').family() == 6 && !isIP('127.0.0.01') && !isIP('::ffff:1.2.3.4')",
        "ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD') && string(ip('10.0.0.1')) == '10.0.0.1'",
        "ip('224.0.0.1').isLinkLocalMulticast() && !ip('224.0.1.1').isLinkLocalMulticast() && ip('ff02::1').isLinkLocalMulticast()",
        "ip('169.254.1.1').isLinkLocalUnicast() && ip('192.168.0.1').isGlobalUnicast() && !ip('255.255.255.255').isGlobalUnicast()",
        "cidr('192.168.0.0/24').containsIP('192.168.0.1') && !cidr('192.168.0.0/24').containsIP(ip('192.168.1.1'))",
        "cidr('192.168.0.0/16').containsCIDR('192.168.10.0/24') && !cidr('192.168.1.0/24').containsCIDR(cidr('192.168.0.0/16'))",
        "cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24') && cidr('::/0').prefixLength() == 0 && string(cidr('::1/128')) == '::1/128'",
        "!isCIDR('1.2.3.4/33') && isCIDR('::1/128') && cidr('10.0.0.1/8').ip() == ip('10.0.0.1') && type(ip('::1')) == net.IP",
        "url('https://user:pw@example.com:80/p?k=1&k=2&b=c%20d#f').getHost() == 'example.com:80'",
        "url('https://example.com:80/').getHostname() == 'example.com' && url('https://[::1]:80/').getHostname() == '::1'",
        "url('https://[::1]:80/').getHost() == '[::1]:80' && url('https://e/').getPort() == '' && url('https://e:8/').getPort() == '8'",
        "url('/path').getScheme() == '' && url('HTTPS://e').getScheme() == 'https' && url('https://e').getEscapedPath() == ''",
        "url('https://e/with spaces/').getEscapedPath() == '/with%20spaces/' && url('/a?x=1+2').getQuery() == {'x': ['1 2']}",
        "url('https://e/?k1=a&k2=b&k2=c').getQuery() == {'k1': ['a'], 'k2': ['b', 'c']}",
        "!isURL('../x') && !isURL('https://a:b:c/') && isURL('/x') && !isURL('') && isURL('mailto:a@b') && !isURL('https://a b/')",
        "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('1.0.0-alpha').isLessThan(semver('1.0.0')) && semver('1.0.0-2').isLessThan(semver('1.0.0-a'))",
        "semver('v1.0', true) == semver('1.0.0') && semver('01.01.01', true).minor() == 1 && !isSemver('v1.0') && isSemver('v1.0', true) && !isSemver('1.0.00')",
        "semver('1.2.3').major() == 1 && semver('1.0.0').compareTo(semver('1.0.0+build')) == 0",
        "!format.dns1123Label().validate('my-label').hasValue() && format.dns1123Label().validate('A b').hasValue()",
        "format.named('uuid').value() == format.uuid() && !format.named('x').hasValue()",
        "!format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue() && format.byte().validate('aGVsbG8').hasValue()",
        "!format.dns1123SubdomainPrefix().validate('mysubdomain.prefix.-').hasValue() && format.date().validate('2020-01-32').hasValue()",
        "!format.qualifiedName().validate('apiextensions.k8s.io/v1beta1').hasValue() && !format.labelValue().validate('').hasValue()",
    ]);
    all_errors(&[
        "quantity('1').add('1')",
        "quantity('x')",
        "ip('1')",
        "cidr('1.2.3.4')",
        "url('x')",
        "semver('1')",
        "authorizer.group('').resource('pods')",
        "math.greatest(1, 2)",
        "jsonpatch.escapeKey('a')",
        "Object{}",
    ]);
}

#[test]
fn hostile_expressions_end() {
    let deep = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let long = vec!["1"; 5_000].join("+");
    let ors = vec!["false"; 5_000].join(" || ");
    assert!(evaluate(&deep).is_err());
    assert!(evaluate(&long).is_err());
    assert_eq!(evaluate(&ors), Ok(Json::Bool(false)));
    let budget = |text: &str| evaluate(text).unwrap_err();
    let range = "lists.range(1000)";
    let loops = format!("{range}.all(a, {range}.all(b, {range}.all(c, a + b + c >= 0)))");
    assert!(budget(&loops).contains("budget"));
    let absorbed = format!("true || {loops}");
    assert_eq!(evaluate(&absorbed), Ok(Json::Bool(true)));
    assert!(budget(&format!("{loops} || true")).contains("budget"));
    assert!(budget("lists.range(9000000000)").contains("budget"));
    let doubled = (0..24).fold("'aaaaaaaaaaaaaaaa'".to_owned(), |t, _| {
        format!("[{t}].map(x, x + x)[0]")
    });
    assert!(budget(&doubled).contains("budget"));
    assert!(
        evaluate("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.matches('^(a+)+$')") == Ok(Json::Bool(false))
    );
    assert!(evaluate("'a'.matches('((a{1000}){1000}){1000}')").is_err());
}
