package rewrite

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// sizes are the pieces that pages are written in.
var sizes = []int{0, 1, 2, 3, 7, 4096}

// becomes checks what comes out of a page, in pieces of any size. PARAM stands for
// the first parameter, and PARAM2 for the second.
func becomes(t *testing.T, page, want string, o func() Options) *Writer {
	t.Helper()
	want = strings.NewReplacer("PARAM2", "seeother-form=2", "PARAM", "seeother-form=1").Replace(want)
	var w *Writer
	for _, size := range sizes {
		var out string
		if out, w = rewritten(t, page, size, o()); out != want {
			t.Errorf("page %q in pieces of %d\ngot  %q\nwant %q", page, size, out, want)
		}
	}
	return w
}

func TestAnActionOfTheSameOriginGetsTheParameter(t *testing.T) {
	t.Parallel()
	for page, want := range map[string]string{
		`<form method=post action=/x>`:                                 `<form method=post action=/x?PARAM>`,
		`<form method="post" action="/x">`:                             `<form method="post" action="/x?PARAM">`,
		`<FORM METHOD='POST' ACTION='/x'>`:                             `<FORM METHOD='POST' ACTION='/x?PARAM'>`,
		`<form action=/x method=pOsT>`:                                 `<form action=/x?PARAM method=pOsT>`,
		`<form action=x method=post class="a>b">`:                      `<form action=x?PARAM method=post class="a>b">`,
		`<form action="https://shop.example/x" method=post>`:           `<form action="https://shop.example/x?PARAM" method=post>`,
		`<form action="https://shop.example" method=post>`:             `<form action="https://shop.example?PARAM" method=post>`,
		`<form action="//shop.example/x" method=post>`:                 `<form action="//shop.example/x?PARAM" method=post>`,
		`<form action="?a=b" method=post>`:                             `<form action="?a=b&amp;PARAM" method=post>`,
		`<form action=?a=b method=post>`:                               `<form action=?a=b&amp;PARAM method=post>`,
		`<form action="/x?" method=post>`:                              `<form action="/x?&amp;PARAM" method=post>`,
		`<form action="/x?a&" method=post>`:                            `<form action="/x?a&&amp;PARAM" method=post>`,
		`<form action="/x#a" method=post>`:                             `<form action="/x?PARAM#a" method=post>`,
		`<form action="/x?a#b?c#d" method=post>`:                       `<form action="/x?a&amp;PARAM#b?c#d" method=post>`,
		`<form action="/x#?" method=post>`:                             `<form action="/x?PARAM#?" method=post>`,
		`<form action="?a=1&copy" method=post>`:                        `<form action="?a=1&copy&amp;PARAM" method=post>`,
		`<form action="/&amp" method=post>`:                            `<form action="/&amp?PARAM" method=post>`,
		`<form action="/&am" method=post>`:                             `<form action="/&am?PARAM" method=post>`,
		`<form action="/&" method=post>`:                               `<form action="/&?PARAM" method=post>`,
		`<form action=/&copy method=post>`:                             `<form action=/&copy?PARAM method=post>`,
		`<form action="?a&amp;b=c&lt" method=post>`:                    `<form action="?a&amp;b=c&lt&amp;PARAM" method=post>`,
		`<form action="&#47;x&quest;a" method=post>`:                   `<form action="&#47;x&quest;a&amp;PARAM" method=post>`,
		`<form action="/&#x20;#a" method=post>`:                        `<form action="/&#x20;?PARAM#a" method=post>`,
		`<form action=/x/ method=post>`:                                `<form action=/x/?PARAM method=post>`,
		`<form method=post action=/x/>`:                                `<form method=post action=/x/?PARAM>`,
		`<form method=post action="/x"/>`:                              `<form method=post action="/x?PARAM"/>`,
		`<form/method=post/action="/x">`:                               `<form/method=post/action="/x">`, // the method is "post/action="
		`<form/method="post"/action="/x">`:                             `<form/method="post"/action="/x?PARAM">`,
		`<form method="post"action="/x"id=a>`:                          `<form method="post"action="/x?PARAM"id=a>`,
		"<form\r\n\tmethod\n=\f'post'\n\n action =\t/x\n>":             "<form\r\n\tmethod\n=\f'post'\n\n action =\t/x?PARAM\n>",
		`<form method=post action="  /x  ">`:                           `<form method=post action="  /x?PARAM  ">`,
		"<form method=post action='/x?a\n'>":                           "<form method=post action='/x?a&amp;PARAM\n'>",
		"<form method=post action='/x\r\n?a\r\n#b'>":                   "<form method=post action='/x\r\n?a\r\n&amp;PARAM#b'>",
		"<form method=post action='/\x00'>":                            "<form method=post action='/\x00?PARAM'>",
		"<form method=post action='/\xff\xe9'>":                        "<form method=post action='/\xff\xe9?PARAM'>",
		`<form method=post action=/x action=/y>`:                       `<form method=post action=/x?PARAM action=/y>`,
		`<form method=post action=//evil action=/y>`:                   `<form method=post action=//evil action=/y>`,
		`<form method=post method=get action=/x>`:                      `<form method=post method=get action=/x?PARAM>`,
		`<form =a =b method=post " action=/x>`:                         `<form =a =b method=post " action=/x?PARAM>`,
		`<form method=post action=/x></form><form method=post action>`: `<form method=post action=/x?PARAM></form><form method=post action="/cart?a=1&amp;b=2&amp;PARAM2">`,
		`a<b<form method=post action=/x>`:                              `a<b<form method=post action=/x>`, // the tag is "b<form"
		`a< b<form method=post action=/x>`:                             `a< b<form method=post action=/x?PARAM>`,
		`<<form method=post action=/x>`:                                `<<form method=post action=/x?PARAM>`,
		`</><form method=post action=/x>`:                              `</><form method=post action=/x?PARAM>`,
		`<table><form method=post action=/x><tr>`:                      `<table><form method=post action=/x?PARAM><tr>`,
		`</body></html><form method=post action=/x>`:                   `</body></html><form method=post action=/x?PARAM>`,
	} {
		becomes(t, page, want, testOptions)
	}
}

func TestAnEmptyActionBecomesTheDocumentsURL(t *testing.T) {
	t.Parallel()
	const url = `/cart?a=1&amp;b=2&amp;PARAM`
	for page, want := range map[string]string{
		`<form method=post>`:                              `<form action="` + url + `" method=post>`,
		`<form method=post action>`:                       `<form method=post action="` + url + `">`,
		`<form action method=post>`:                       `<form action="` + url + `" method=post>`,
		`<form method=post action/>`:                      `<form method=post action="` + url + `"/>`,
		`<form method=post action=>`:                      `<form method=post action="` + url + `">`,
		`<form method=post action = >`:                    `<form method=post action ="` + url + `" >`,
		`<form method=post action="">`:                    `<form method=post action="` + url + `">`,
		`<form method=post action=''>`:                    `<form method=post action='` + url + `'>`,
		`<form method=post action="` + " \n" + `">`:       `<form method=post action="` + url + " \n" + `">`,
		`<form method=post action="#a">`:                  `<form method=post action="` + url + `#a">`,
		`<form method=post action=#>`:                     `<form method=post action=` + url + `#>`,
		`<form method=post action=" #a">`:                 `<form method=post action=" ` + url + `#a">`,
		`<form action= method=post>`:                      `<form action= method=post>`, // the action is "method=post"
		`<base href=/a/><form method=post>`:               `<base href=/a/><form action="https://shop.example` + url + `" method=post>`,
		`<base href=//evil/><form method=post action="">`: `<base href=//evil/><form method=post action="https://shop.example` + url + `">`,
		`<base href=/a/><form method=post action=" ">`:    `<base href=/a/><form method=post action=" ">`,
		`<base href=/a/><form method=post action="#">`:    `<base href=/a/><form method=post action="#">`,
		`<base target=_top><form method=post action="#">`: `<base target=_top><form method=post action="` + url + `#">`,
	} {
		becomes(t, page, want, testOptions)
	}
}

func TestATargetIsEscaped(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		`/`:                 `<form action="/?PARAM" method=post>`,
		`/a?`:               `<form action="/a?&amp;PARAM" method=post>`,
		`/"><script>'&lt;`:  `<form action="/&#34;&gt;&lt;script&gt;&#39;&amp;lt;?PARAM" method=post>`,
		`//evil/`:           `<form action="https://shop.example//evil/?PARAM" method=post>`,
		`/%2F/a;b=c:d@e,f!`: `<form action="/%2F/a;b=c:d@e,f!?PARAM" method=post>`,
		`/\evil`:            `<form method=post>`,
		`*`:                 `<form method=post>`,
		``:                  `<form method=post>`,
	} {
		becomes(t, `<form method=post>`, want, func() Options {
			o := testOptions()
			o.Target = target
			return o
		})
	}
}

func TestOnlyPOSTIsChanged(t *testing.T) {
	t.Parallel()
	for _, page := range []string{
		`<form action=/x>`, `<form method action=/x>`, `<form method=get action=/x>`, `<form method=dialog action=/x>`,
		`<form method=" post" action=/x>`, `<form method="post " action=/x>`, `<form method=put action=/x>`, `<form methode=post action=/x>`,
		"<form method='po\u017ft' action=/x>", `<form method=get method=post action=/x>`, `<form data-method=post action=/x>`,
		`<div method=post action=/x>`, `<forms method=post action=/x>`, `<form-x method=post action=/x>`, "<form\x00 method=post action=/x>", "<form\xe9 method=post action=/x>",
		`<formaction method=post action=/x>`, `<fοrm method=post action=/x>`,
	} {
		becomes(t, page, page, testOptions)
	}
}

func TestAnActionOfAnotherOriginOrInDoubtIsUntouched(t *testing.T) {
	t.Parallel()
	for _, action := range []string{
		`//evil/`, `/\evil`, `\\evil`, `https://evil/`, `http://shop.example/`, `https://shop.example:8443/`, `https://shop.example@evil/`,
		`javascript:void(0)`, `mailto:a@shop.example`, `data:,a`, "/\t/evil", "\n//evil", `https:x`, `&#47;&#47;evil`, `&#9;//evil`, `&sol;&bsol;evil`, `java&Tab;script:a`,
		`https&colon;//evil`,
		`/&#12`, `/&#x`, `/&num;`, `/x&#35;a`, // where the parameter goes is not plain
	} {
		for _, page := range []string{
			`<form method=post action="` + action + `">`,
			`<form method=post action='` + action + `'>`,
			`<button formmethod=post formaction="` + action + `">`,
		} {
			becomes(t, page, page, testOptions)
		}
	}
}

func TestAButtonWithAnActionOfItsOwnIsChanged(t *testing.T) {
	t.Parallel()
	for page, want := range map[string]string{
		`<button formmethod=post formaction=/y>`:                                        `<button formmethod=post formaction=/y?PARAM>`,
		`<button formmethod=post formaction=/y form=f>`:                                 `<button formmethod=post formaction=/y?PARAM form=f>`,
		`<button type=submit formmethod=post formaction=/y>`:                            `<button type=submit formmethod=post formaction=/y?PARAM>`,
		`<button type=SUBMIT formmethod=post formaction=/y>`:                            `<button type=SUBMIT formmethod=post formaction=/y?PARAM>`,
		`<button type=x formmethod=post formaction=/y>`:                                 `<button type=x formmethod=post formaction=/y?PARAM>`,
		`<button formmethod=post formaction>`:                                           `<button formmethod=post formaction="/cart?a=1&amp;b=2&amp;PARAM">`,
		`<input type=submit formmethod=post formaction=/y>`:                             `<input type=submit formmethod=post formaction=/y?PARAM>`,
		`<input type=Image formmethod=POST formaction="/y#a"/>`:                         `<input type=Image formmethod=POST formaction="/y?PARAM#a"/>`,
		`<form method=post action=//e><button formaction=/y>`:                           `<form method=post action=//e><button formaction=/y?PARAM>`,
		`<form method=post action=//e><p><b><button formaction=/y>`:                     `<form method=post action=//e><p><b><button formaction=/y?PARAM>`,
		`<form method=get><button formaction=/y formmethod=post>`:                       `<form method=get><button formaction=/y?PARAM formmethod=post>`,
		`<form method=post action=//e></form><button formaction=/y>`:                    `<form method=post action=//e></form><button formaction=/y>`,
		`<form method=post action=//e><button formaction=/y form=f>`:                    `<form method=post action=//e><button formaction=/y form=f>`,
		`<form method=post action=//e><button formmethod formaction=/y>`:                `<form method=post action=//e><button formmethod formaction=/y>`,
		`<form method=post action=//e><button formmethod=x formaction=/y>`:              `<form method=post action=//e><button formmethod=x formaction=/y>`,
		`<form method=post action=//e><button formaction=//evil>`:                       `<form method=post action=//e><button formaction=//evil>`,
		`<form method=post action=//e><button type=button formaction=/y>`:               `<form method=post action=//e><button type=button formaction=/y>`,
		`<form method=post action=//e><button type=Reset formaction=/y>`:                `<form method=post action=//e><button type=Reset formaction=/y>`,
		`<form method=post action=//e><input formaction=/y>`:                            `<form method=post action=//e><input formaction=/y>`,
		`<form method=post action=//e><input type=" submit" formaction=/y>`:             `<form method=post action=//e><input type=" submit" formaction=/y>`,
		`<form method=post action=//e><button>`:                                         `<form method=post action=//e><button>`,
		`<form method=get><button formaction=/y>`:                                       `<form method=get><button formaction=/y>`,
		`<form method=get><form method=post action=/x><button formaction=/y>`:           `<form method=get><form method=post action=/x><button formaction=/y>`,
		`<table><form method=post action=//e><tr><td><input type=image formaction=/y>`:  `<table><form method=post action=//e><tr><td><input type=image formaction=/y?PARAM>`,
		`<form method=post action=//e><template></form></template><button formaction=>`: `<form method=post action=//e><template></form></template><button formaction="/cart?a=1&amp;b=2&amp;PARAM">`,
	} {
		becomes(t, page, want, testOptions)
	}
}

func TestTheFirstBaseElementCounts(t *testing.T) {
	t.Parallel()
	const form = `<form method=post action=x>`
	const changed = `<form method=post action=x?PARAM>`
	for base, same := range map[string]bool{
		`<base href=/a/>`:                                       true,
		`<base href=https://shop.example/a/>`:                   true,
		`<base href="">`:                                        true,
		`<base target=a>`:                                       true,
		`<base href=//evil/>`:                                   false,
		`<base href=https://evil/>`:                             false,
		`<base href=data:,>`:                                    false,
		`<base target=a><base href=//evil/><base href=/>`:       false,
		`<base href=/><base href=//evil/>`:                      true,
		`<p><base href=//evil/>`:                                false,
		`<template><base href=//evil/></template>`:              true,
		`<svg><base href="//evil/"></svg>`:                      true,
		`<!--<base href=//evil/>-->`:                            true,
		`<noscript><base href=//evil/></noscript>`:              true,
		`<svg><desc><base href=//evil/></desc></svg>`:           false,
		`<select><base href=/></select>`:                        false, // some browsers drop it
		`<base href=//evil/><template><base href=/></template>`: false,
	} {
		want := base + form
		if same {
			want = base + changed
		}
		becomes(t, base+form, want, testOptions)
	}
	becomes(t, `<base href=//evil/><form method=post action=https://shop.example/x>`,
		`<base href=//evil/><form method=post action=https://shop.example/x?PARAM>`, testOptions)
	becomes(t, `<base href=//evil/><form method=post action=//shop.example/x>`,
		`<base href=//evil/><form method=post action=//shop.example/x>`, testOptions)
}

// noForms are pages whose form is none.
var noForms = []string{
	`<!--FORM-->`, `<!-- FORM --!>`, `<!--a--!->FORM`, `<!--> <!--FORM-->`, `<!--FORM`, `<!-FORM`, `<?FORM`, `</ FORM`, `<!doctype FORM`, `<a b="FORM">`, `<a b='FORM'>`, `<a FORM`,
	`<script>FORM</script>`, `<script>"<!--"; FORM</script>`, `<script><!--<script></script>FORM--></script>`, `<SCRIPT src=a>FORM</script >`, `<script/>FORM`,
	`<style>FORM</style>`, `<textarea>FORM</textarea>`, `<title>FORM</title>`, `<title></titles>FORM</title>`, `<iframe>FORM</iframe>`, `<noembed>FORM</noembed>`,
	`<noframes>FORM</noframes>`, `<noscript>FORM</noscript>`, `<xmp>FORM</xmp>`, `<plaintext>FORM</plaintext>FORM`,
	`<template>FORM</template>`, `<template><template></template>FORM</template>`, `<template><div></body></html>FORM</template>`, `<template><svg><template></template>FORM</svg></template>`,
	`<svg>FORM</svg>`, `<math>FORM</math>`, `<svg><g>FORM</g></svg>`, `<svg><title></title>FORM</svg>`, `<svg><![CDATA[FORM]]></svg>`, `<svg><g><![CDATA[>FORM]]]></g></svg>`,
	`<svg><desc><svg>FORM</svg></desc></svg>`, `<math><annotation-xml>FORM</annotation-xml></math>`, `<math><mi><mglyph>FORM</mglyph></mi></math>`, `<svg><font>FORM</font></svg>`,
	`<svg><script>FORM</script></svg>`, `<svg><style>FORM</style></svg>`, `<svg><title><svg>FORM</svg></title></svg>`,
	`<form><form></form><form>FORM</form>`, `<form><p>FORM</p></form>`, `<form><template></form></template>FORM</form>`, `<form><svg><form></form></svg>FORM</form>`,
	`<select>FORM</select>`, `<frameset>FORM`, `<frameset><frame><noframes>FORM</noframes>`, `<html><head></head><frameset>FORM`,
	`<svg><desc><p><svg></p></desc>FORM`, `<svg><desc><p><div></div></desc>FORM`, `<svg><desc><head></desc>FORM`, `<table><svg><desc><form></desc></form>FORM`,
	`<svg><desc><a><svg><desc><a></a></desc></svg></desc>FORM`, `<svg><form><desc><form><svg></form><desc></form>FORM`,
	`<math><mi></mi></x><img><math><mi></x><img><mglyph>FORM`, `<svg><g></div>FORM`, `<form`, `<form method=post action=/x`, `<form method=post action="/x>`, `<form method=post action=/x <`,
}

func TestAFormThatIsNoneIsUntouched(t *testing.T) {
	t.Parallel()
	for _, page := range noForms {
		page = strings.ReplaceAll(page, "FORM", `<form method=post action=/x>`)
		if w := becomes(t, page, page, testOptions); w.Changed() {
			t.Errorf("page %q is changed", page)
		}
	}
}

func TestAFormBehindAllThatIsFound(t *testing.T) {
	t.Parallel()
	for _, before := range []string{
		`<!-->`, `<!--->`, `<!---->`, `<!--a--!>`, `<!-- - -- > -->`, `<!--<!-->`, `<!--a--!-->`, `<!>`, `<!-a>`, `<!doctype html "a>`, `<?a>`, `</a b=">">`, `</ a>`, `<![CDATA[>`, `<![CDATA>`,
		`<script><!-- </script>`, `<script><!--<script></script></script>`, `<script><!--<script>--></script>`, `<script><!--<scripta></script>`, `<script><!--></script>`, `<script>a</script b=">">`,
		`<script><!-</script>`, `<script></scripts></SCRIPT/>`, `<script>a<b</script>`, `<script><<</script>`, `<title></title	>`, `<textarea></textarea/>`, `<style><!--</style>`, `<script><!--<script ></script/></script>`,
		`<svg/>`, `<svg />`, `<svg></svg>`, `<svg><g/></svg>`, `<svg><g></svg>`, `<svg><p>`, `<svg><font color=a>`, `<svg></p>`, `<svg></br>`, `<svg><desc>`, `<svg><desc><p></p></desc></svg>`, `<svg><desc><br><img></desc></svg>`,
		`<svg><foreignObject>`, `<svg><title>a</title></svg>`, `<svg><foreignobject><div><span><p>a</p></span></div></foreignobject></svg>`, `<svg><style><!-- </style> --></svg>`, `<svg><title></svg>`, `<svg><desc><style></svg></style></desc></svg>`,
		`<math><mi>a</mi><mo>=</mo></math>`, `<math><mi>`, `<math><annotation-xml encoding="Application/XHTML+xml">`, `<math><annotation-xml><svg><desc>`, `<svg><![CDATA[</svg>]]></svg>`, `<svg><![CDATA[>]]]></svg>`,
		`<template></template>`, `<template><svg></template>`, `<template><svg><desc><p></template>`, `<template><select></template>`, `<template><template></template></template>`, `</template>`,
		`<select></select>`, `<select><option><select>`, `<select><input>`, `<select><textarea></textarea>`, `<select><script></script></select>`, `<select><template></template></select>`, `<table><select><tr></select>`,
		`<form></form>`, `<form><form></form>`, `<table><form><tr></form>`, `</form>`, `<form><svg></form></svg>`, `<body><frameset>`, `<button><frameset>`, `<select></select><frameset>`, `<x-form>`,
		`<svg><template></template></svg>`, "<svg\x00>", `<a` + strings.Repeat("b", 100) + `>`, `<svg><g><p><b><i>`, `<div><svg><g></div><p>`, `<svg><g></div></p>`, `<template><form><body><frameset><base href=//evil/></template>`,
	} {
		page := before + `<form method=post action=/x>`
		if w := becomes(t, page, before+`<form method=post action=/x?PARAM>`, testOptions); w.GaveUp() {
			t.Errorf("gave up at %q", page)
		}
	}
}

func TestWhereBrowsersDifferTheRestPasses(t *testing.T) {
	t.Parallel()
	for _, page := range []string{
		`<select><style></style></select>FORM`, `<select><plaintext></select>FORM`, `<frameset></frameset>FORM`, `<svg><g></div><script></script>FORM`,
		`<svg></div><![CDATA[>]]>FORM`, `<template><col><style></style></template>FORM`, `<svg><desc><template></template></desc></svg>FORM`,
		`<template><form><svg></form><title></template>FORM</title></template>`, `<template><col><svg><template></svg></template>FORM`, `<template><svg><template></div></template>FORM`,
		`<select><template></template><style></style></select>FORM`, `<table><td><select></td><td><select><style></style></select>FORM`, `<table><td><select><td><select><style></style></select>FORM`,
		strings.Repeat(`<template>`, maxTemplates+1) + strings.Repeat(`</template>`, maxTemplates+1) + `FORM`,
	} {
		page = strings.ReplaceAll(page, "FORM", `<form method=post action=/x>`)
		if w := becomes(t, page, page, testOptions); !w.GaveUp() {
			t.Errorf("did not give up at %q", page)
		}
	}
}

func TestTheTreeStaysTheSame(t *testing.T) {
	t.Parallel()
	pages := seeds()
	for _, page := range noForms {
		pages = append(pages, strings.ReplaceAll(page, "FORM", `<form method=post action=/x>`))
	}
	for _, page := range pages {
		for _, size := range sizes[1:] {
			checkPage(t, page, size)
		}
	}
}

// FuzzTags over SEEOTHER_PAGES pages, or over some that are the same each time.
func TestPagesOfRandomTagsKeepTheirTree(t *testing.T) {
	t.Parallel()
	n, seed := 40_000, uint64(1)
	if race {
		n = 4_000
	}
	if set := os.Getenv("SEEOTHER_PAGES"); set != "" {
		var err error
		if n, err = strconv.Atoi(set); err != nil {
			t.Fatalf("SEEOTHER_PAGES: %v", err)
		}
		seed = rand.Uint64()
		t.Logf("%d pages, seed %d", n, seed)
	}
	r := rand.New(rand.NewPCG(seed, 0))
	compared, apart := 0, 0
	for compared < n {
		page := randomPage(r)
		checkPage(t, page, 1+r.IntN(9))
		if misread(page) {
			apart++
		} else {
			compared++
		}
	}
	t.Logf("the trees of %d pages are the same; %d more have what the parser reads otherwise than browsers", compared, apart)
}

// randomPage repeats few tags, so that they meet.
func randomPage(r *rand.Rand) string {
	few := make([]string, 3+r.IntN(14))
	for i := range few {
		few[i] = pieces[r.IntN(len(pieces))]
	}
	var page strings.Builder
	for range 2 + r.IntN(25) {
		page.WriteString(few[r.IntN(len(few))])
	}
	return page.String() + `<form method=post action=/x>`
}

func TestAParamThatIsNotPlainIsNotUsed(t *testing.T) {
	t.Parallel()
	const page = `<form method=post action=/x>`
	for _, param := range []string{"", `a"b`, "a b", "a&b", "a#b", "a<b", "é", "a?"} {
		becomes(t, page, page, func() Options {
			o := testOptions()
			o.Param = func() string { return param }
			return o
		})
	}
}

// TestAChangeThatMeansMoreThanItsValueIsNotMade holds the last look at a change, which
// no page is known to need.
func TestAChangeThatMeansMoreThanItsValueIsNotMade(t *testing.T) {
	t.Parallel()
	const quoted, bare = `<form action="/x" method=post>`, `<form action=/x method=post>`
	for _, c := range []struct {
		tag  string
		in   insertion
		want string
		ok   bool
	}{
		{quoted, insertion{16, "?a=1"}, "/x?a=1", true},
		{quoted, insertion{16, `" onfocus="a`}, `/x" onfocus="a`, false},
		{quoted, insertion{17, ` id="a"`}, "/x", false},
		{quoted, insertion{16, "&#34;"}, `/x"`, true},
		{quoted, insertion{16, "?a=1"}, "/x?a=2", false},
		{quoted, insertion{30, "<b>"}, "/x", false},
		{bare, insertion{15, "?a=1"}, "/x?a=1", true},
		{bare, insertion{15, " b"}, "/x b", false},
		{bare, insertion{15, ">"}, "/x>", false},
		{bare, insertion{27, "ed"}, "/x", false},
	} {
		if got := same([]byte(c.tag), c.in, "action", true, c.want); got != c.ok {
			t.Errorf("%s with %q at %d: %t", c.tag, c.in.text, c.in.at, got)
		}
	}
}
