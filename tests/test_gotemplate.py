"""Templates give what Go gives."""

import pytest

from wherry.gotemplate import Row, Template, TemplateError

VALUE = {
    "Name": "one",
    "N": 3,
    "F": 1.5,
    "Yes": True,
    "None": None,
    "List": ["a", "b", "c"],
    "Map": {"k": "v", "j": "w"},
    "Deep": {"Er": {"Est": [{"X": 1}, {"X": 2}]}},
    "Html": "<a&b>",
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("{{.Name}}", "one"),
        ("a {{- .Name -}} b", "aoneb"),
        ("{{/* note */}}x", "x"),
        ("{{- /* note */ -}} x", "x"),
        ("{{.N}} {{.F}} {{.Yes}} {{.List}} {{.Map}}", "3 1.5 true [a b c] map[j:w k:v]"),
        ("{{.None}}", "<no value>"),
        ("{{json .Map}}", '{"k":"v","j":"w"}'),
        ("{{json .Html}}", '"<a&b>"'),
        ("{{if .Yes}}y{{else}}n{{end}}", "y"),
        ("{{if eq .N 2}}two{{else if eq .N 3}}three{{else}}many{{end}}", "three"),
        ("{{range .List}}[{{.}}]{{end}}", "[a][b][c]"),
        ("{{range $i, $e := .List}}{{$i}}{{$e}}{{end}}", "0a1b2c"),
        ("{{range $k, $v := .Map}}{{$k}}={{$v}};{{end}}", "j=w;k=v;"),
        ("{{range .None}}x{{else}}empty{{end}}", "empty"),
        ('{{range .List}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}', "a"),
        ('{{range .List}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}', "ac"),
        ("{{with .Deep.Er}}{{(index .Est 1).X}}{{end}}", "2"),
        ("{{with .None}}x{{else}}nothing{{end}}", "nothing"),
        ("{{with $x := .N}}{{$x}}{{$.Name}}{{end}}", "3one"),
        ("{{$x := 1}}{{range .List}}{{$x = .}}{{end}}{{$x}}", "c"),
        ('{{index .List 1}} {{index .Map "k"}} {{index .Map "no"}}|', "b v |"),
        ("{{len .List}} {{len .Name}}", "3 3"),
        ('{{join .List "-"}}', "a-b-c"),
        ('{{split "a,b" ","}}', "[a b]"),
        ('{{.Name | upper | printf "%s!"}}', "ONE!"),
        ('{{title "ab cd"}} {{lower "AB"}} {{truncate .Name 2}} {{pad .Name 1 2}}|', "Ab Cd ab on  one  |"),
        (
            '{{printf "%05d %x %q %v %t %5s|%-5s|%.1f %%" 42 255 "a" .List true "r" "l" 2.55}}',
            '00042 ff "a" [a b c] true     r|l    |2.5 %',
        ),
        ('{{print 1 2 "a" 3}} {{println "x"}}', "1 2a3 x\n"),
        ('{{and 1 0 2}} {{or 0 "" "z"}} {{not 0}}', "0 z true"),
        ("{{if and .Yes (gt .N 2) (le .N 3) (ne .N 4)}}ok{{end}}", "ok"),
        ('{{eq .N 1 2 3}} {{lt 1.5 2}} {{ge "b" "a"}}', "true true true"),
        ('{{html .Html}} {{urlquery "a b&"}}', "&lt;a&amp;b&gt; a+b%26"),
        ("{{slice .Name 1}} {{slice .List 0 2}}", "ne [a b]"),
        ('{{`raw \\n`}} {{"\\u00e9\\t"}}|', "raw \\n é\t|"),
    ],
)
def test_templates(text, shown):
    assert Template(text).render(VALUE) == shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{.Name", "template: :1: unclosed action"),
        ("{{nosuch .}}", 'template: :1: function "nosuch" not defined'),
        ("{{if .Name}}", "template: :1: unexpected EOF"),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        ("{{range}}x{{end}}", "template: :1: missing value for range"),
        ("{{$x}}", 'template: :1: undefined variable "$x"'),
        ('{{"a}}', "template: :1: unterminated quoted string"),
        ('{{define "x"}}{{end}}', "template: :1: define is not supported in formats"),
    ],
)
def test_templates_that_cannot_be_read(text, words):
    with pytest.raises(TemplateError) as caught:
        Template(text)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{.Foo}}", 'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"'),
        ("{{.Deep.Foo}}", 'template: :1:7: executing "" at <.Deep.Foo>: map has no entry for key "Foo"'),
        ("{{.Name.Foo}}", 'template: :1:7: executing "" at <.Name.Foo>: can\'t evaluate field Foo in type string'),
        ("{{index .List 9}}", "error calling index: reflect: slice index out of range"),
        ("{{upper 1}}", "wrong number or type of args for upper"),
        ("{{.Name 1}}", "can't give argument to non-function .Name"),
    ],
)
def test_values_that_do_not_fit(text, words):
    with pytest.raises(TemplateError) as caught:
        Template(text).render(VALUE)
    assert words in str(caught.value)


def test_fields_that_may_miss_are_nothing():
    assert (
        Template("{{if .State.Health}}x{{else}}none{{end}}").render({"State": {}}, optional="Health".__eq__) == "none"
    )


def test_rows_compute_what_is_asked_for():
    row = Row(
        {"a": 1}, {"B": lambda it: str(it["a"]), "A": lambda _: "<", "Label": lambda _: lambda name: name * 2}, "*x"
    )
    assert Template('{{.B}} {{.Label "ab"}} {{json .}}').render(row) == '1 abab {"A":"\\u003c","B":"1"}'
    with pytest.raises(TemplateError, match=r"can't evaluate field Foo in type \*x"):
        Template("{{.Foo}}").render(row)
