"""Templates mean what they mean to Go: what stands here is what docker 28 printed for them."""

from __future__ import annotations

import pytest

from lading.cli.documents import VOLUME
from lading.cli.gotemplate import TemplateError, parse
from lading.cli.rows import Shape, render

DOCUMENT = {
    "Name": "vol",
    "Mountpoint": "/m/x",
    "Scope": "local",
    "Labels": {"a.b": "c", "z": "1", "q": "<&>"},
    "Options": None,
    "Status": {
        "list": ["x", "y", "z"],
        "map": {"k": "v", "n": None},
        "t": True,
        "f": False,
        "s": 'tab\there "q" ü',
        "e": "",
        "el": [],
        "nul": None,
        "mix": [1, "a", True, None, {"b": 2}],
    },
}
PRINTED = (
    ("{{.Name}}", "vol"),
    ('{{ .Name }} {{- " x" -}}  y', "vol xy"),
    ("a {{- .Name -}} b", "avolb"),
    ("{{/* comment */}}x", "x"),
    ("{{- /* c */ -}} x", "x"),
    ("{{.Labels}}", "map[a.b:c q:<&> z:1]"),
    ("{{json .Labels}}", '{"a.b":"c","q":"<&>","z":"1"}'),
    ('{{index .Labels "a.b"}}', "c"),
    ('{{index .Labels "none"}}|', "|"),
    ("{{.Labels.z}} {{.Labels.none}}", "1 <no value>"),
    ("{{range .Status.list}}{{.}},{{end}}", "x,y,z,"),
    ("{{range $i, $v := .Status.list}}{{$i}}={{$v}};{{end}}", "0=x;1=y;2=z;"),
    ("{{range $k, $v := .Labels}}{{$k}}:{{$v}} {{end}}", "a.b:c q:<&> z:1 "),
    ("{{range .Status.el}}a{{else}}none{{end}}", "none"),
    ('{{range .Status.list}}{{if eq . "y"}}{{continue}}{{end}}{{.}}{{end}}', "xz"),
    ('{{range .Status.list}}{{if eq . "y"}}{{break}}{{end}}{{.}}{{end}}', "x"),
    (
        "{{with .Status}}{{if .t}}T{{else}}F{{end}}{{if .e}}T{{else}}F{{end}}{{end}}",
        "TF",
    ),
    ('{{if eq .Name "x"}}1{{else if eq .Name "vol"}}2{{else}}3{{end}}', "2"),
    ("{{with .Status.map}}{{.k}}{{end}}{{with .Options}}a{{else}}b{{end}}", "vb"),
    ("{{with $x := .Name}}{{$x}}{{end}}", "vol"),
    ('{{$x := .Name}}{{$x}}{{$x = "new"}}{{$x}}', "volnew"),
    ("{{len .Name}} {{len .Status.list}} {{len .Labels}}", "3 3 3"),
    ('{{upper .Name}} {{lower "ABC"}} {{title "hello world"}}', "VOL abc Hello World"),
    ('{{split "a,b,c" ","}} {{join (split "a,b" ",") "+"}}', "[a b c] a+b"),
    ("{{pad .Name 1 2}}|", " vol  |"),
    ("{{truncate .Mountpoint 2}}", "/m"),
    (
        '{{printf "%s %q %v %d %5d|%-5d|%05d %x" .Name .Name true 42 42 42 42 255}}',
        'vol "vol" true 42    42|42   |00042 ff',
    ),
    ('{{printf "%.2f %g %e %6.1f" 3.14159 2.5 1234.5 9.96}}', "3.14 2.5 1.234500e+03   10.0"),
    (
        '{{printf "%s" 5}} {{printf "%d" "x"}} {{printf "%d"}} {{printf "%s" "a" "b"}}',
        "%!s(int=5) %!d(string=x) %!d(MISSING) a%!(EXTRA string=b)",
    ),
    ('{{printf "%t %T %c %U" true "s" 65 65}}', "true string A U+0041"),
    ('{{printf "%8s|%-8s|%.2s" "abc" "abc" "abc"}}', "     abc|abc     |ab"),
    ('{{print "a" 1 2 "b" 3}} {{println "x" 1}}', "a1 2b3 x 1\n"),
    (
        '{{html "<a href=\'x\'>\\"&"}} {{js "it\'s <b>\\n"}} {{urlquery "a b&c"}}',
        "&lt;a href=&#39;x&#39;&gt;&#34;&amp; it\\'s \\u003Cb\\u003E\\u000A a+b%26c",
    ),
    (
        '{{eq 1 1}} {{eq "a" "b" "a"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt "b" "a"}} {{ge 1 2}}',
        "true true true true true true false",
    ),
    ("{{slice .Name 1}} {{slice .Name 0 2}} {{slice .Status.list 1 2}}", "ol vo [y]"),
    ('{{index .Status.mix 4 "b"}}', "2"),
    (
        "{{.Status}}",
        "map[e: el:[] f:false list:[x y z] map:map[k:v n:<nil>]"
        ' mix:[1 a true <nil> map[b:2]] nul:<nil> s:tab\there "q" ü t:true]',
    ),
    ("{{.Status.mix}}", "[1 a true <nil> map[b:2]]"),
    (
        '{{json .Status.s}} {{printf "%q" .Status.s}}',
        '"tab\\there \\"q\\" ü" "tab\\there \\"q\\" ü"',
    ),
    ("{{.Options}} {{json .Options}} {{len .Options}}", "map[] null 0"),
    ('{{(index .Status.list 0) | printf "%s-%s" "a"}}', "a-x"),
    ('{{.Name | printf "%q" | upper}}', '"VOL"'),
    ("{{\"a\\tb\"}}{{`raw\\t`}}{{'a'}}{{1.5}}{{0x10}}{{1e3}}{{true}}", "a\tbraw\\t971.5161000true"),
    ("{{.Name | }}", "vol"),
    ('{{.Name}}{{"{{"}}', "vol{{"),
    ("{{range 3}}{{.}}{{end}}", "012"),
    ("{{- .Name}}", "vol"),
    ('{{if and (eq .Name "vol") (ne .Scope "x")}}ok{{end}}', "ok"),
    ('{{printf "%v %v %v" .Status.list .Labels .Status.t}}', "[x y z] map[a.b:c q:<&> z:1] true"),
    ('{{printf "%q" .Status.list}}', '["x" "y" "z"]'),
    ('{{json "a<b>&"}}', '"a<b>&"'),
    ('{{printf "%*d" 5 3}}', "    3"),
    ("{{- range $i, $e := .Status.list}}{{if $i}}, {{end}}{{$e}}{{end}}", "x, y, z"),
    ("{{with .Status.e}}x{{else with .Name}}{{.}}{{end}}", "vol"),
    ("{{println .Status.list}}", "[x y z]\n"),
    ('{{.Status.list | len | printf "%03d"}}', "003"),
)
MISTAKEN = (
    (
        '{{and 1 0 2}} {{or 0 "" "x"}} {{not 1}} {{and}} ',
        'template: :1:42: executing "" at <and>: '
        "wrong number of args for and: want at least 1 got 0",
    ),
    (
        '{{eq 1 "a"}}',
        'template: :1:2: executing "" at <eq 1 "a">: '
        "error calling eq: incompatible types for comparison",
    ),
    (
        "{{index .Status.list 1}} {{index .Status.list 7}}",
        'template: :1:27: executing "" at <index .Status.list 7>: '
        "error calling index: index out of range: 7",
    ),
    ("{{nil}}", 'template: :1:2: executing "" at <nil>: nil is not a command'),
    ("{{foo .Name}}", 'template: :1: function "foo" not defined'),
    ("{{.Name", "template: :1: unclosed action"),
    ("{{end}}", "template: :1: unexpected {{end}}"),
    ("{{if .Name}}", "template: :1: unexpected EOF"),
    ("{{range}}{{end}}", "template: :1: missing value for range"),
    ("{{$y}}", 'template: :1: undefined variable "$y"'),
    ('{{ "unterminated }}', "template: :1: unterminated quoted string"),
    ("{{len 3}}", 'template: :1:2: executing "" at <len 3>: error calling len: len of type int'),
    (
        "{{len}}",
        'template: :1:2: executing "" at <len>: wrong number of args for len: want 1 got 0',
    ),
    ("{{1 | len}}", 'template: :1:6: executing "" at <len>: error calling len: len of type int'),
    (
        "{{.Status.list.x}}",
        'template: :1:9: executing "" at <.Status.list.x>: '
        "can't evaluate field x in type interface {}",
    ),
    ("{{true.x}}", 'template: :1: unexpected . after term "true"'),
    (
        "{{not}}",
        'template: :1:2: executing "" at <not>: wrong number of args for not: want 1 got 0',
    ),
)


@pytest.mark.parametrize(("template", "printed"), PRINTED)
def test_a_template_prints_what_gos_prints(template: str, printed: str) -> None:
    assert parse(template).execute(VOLUME(DOCUMENT)) == printed


@pytest.mark.parametrize(("template", "said"), MISTAKEN)
def test_a_mistake_is_told_in_gos_words(template: str, said: str) -> None:
    with pytest.raises(TemplateError) as raised:
        parse(template).execute(VOLUME(DOCUMENT))
    assert str(raised.value) == said


@pytest.mark.parametrize("word", ["define", "template", "block"])
def test_templates_that_name_others_are_refused(word: str) -> None:
    with pytest.raises(TemplateError, match=word):
        parse(f'{{{{{word} "x" .}}}}')


def test_a_template_serves_many_values() -> None:
    template = parse("{{$x := .a}}{{$x}}")
    assert [template.execute({"a": n}) for n in (1, 2)] == ["1", "2"]


def test_a_template_nested_without_end_is_refused() -> None:
    with pytest.raises(TemplateError, match="nested too deeply"):
        parse("{{if 1}}" * 20_000)


SHAPE = Shape(
    "*formatter.Thing",
    {
        "Name": ("NAME", lambda item: item["name"]),
        "Size": ("SIZE", lambda item: item["size"]),
        "Secret": ("SECRET", lambda item: "s"),
    },
    ["Name", "Size"],
    methods={"Label": lambda item, name: item["labels"].get(name, "")},
    hidden=("Secret",),
)
ITEMS = (
    {"name": "one", "size": "1B", "labels": {"com.my-team": "x"}},
    {"name": "a-long-name", "size": "22B", "labels": {}},
)


class TestTables:
    def test_a_plain_table_has_headers_and_aligned_columns(self) -> None:
        assert render(SHAPE, ITEMS) == ("NAME          SIZE\none           1B\na-long-name   22B\n")

    def test_nothing_is_a_line_of_headers(self) -> None:
        assert render(SHAPE, []) == "NAME      SIZE\n"

    def test_a_template_may_choose_the_columns(self) -> None:
        form = r'table {{.Size}}\t{{.Name | upper}}\t{{.Label "com.my-team"}}'
        assert render(SHAPE, ITEMS, form) == (
            "SIZE      NAME          my team\n1B        ONE           x\n22B       A-LONG-NAME   \n"
        )

    def test_a_template_alone_has_no_headers(self) -> None:
        assert render(SHAPE, ITEMS, r"{{.Name}}\t{{.Size}}") == "one\t1B\na-long-name\t22B\n"

    def test_json_is_a_line_for_each_with_what_is_not_hidden(self) -> None:
        assert render(SHAPE, ITEMS[:1], "json") == '{"Name":"one","Size":"1B"}\n'

    def test_quiet_is_one_field(self) -> None:
        assert render(SHAPE, ITEMS, "json", quiet="Name") == "one\na-long-name\n"
