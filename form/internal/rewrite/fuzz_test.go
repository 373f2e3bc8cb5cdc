package rewrite

import (
	"strings"
	"testing"
)

// FuzzRewrite: a browser sees the same page, but for the actions.
func FuzzRewrite(f *testing.F) {
	for _, page := range seeds() {
		f.Add([]byte(page), 3)
	}
	f.Fuzz(func(t *testing.T, page []byte, size int) {
		checkPage(t, string(page), 1+max(size, -size)%64)
	})
}

// FuzzTags is FuzzRewrite over pages that are nothing but tags, each byte one: so
// more of them mean something.
func FuzzTags(f *testing.F) {
	for i := range pieces {
		f.Add([]byte{byte(i), 0, byte(i + 1), 1, byte(i + 2), 0})
	}
	f.Fuzz(func(t *testing.T, choice []byte) {
		if len(choice) > 200 {
			return
		}
		var page strings.Builder
		for _, b := range choice {
			page.WriteString(pieces[int(b)%len(pieces)])
		}
		checkPage(t, page.String(), 5)
	})
}

var pieces = []string{
	`<form method=post action=/x>`, `</form>`, `<form method=post>`, `<form>`, `<button formaction=/y formmethod=post>`,
	`<button formaction=/z>`, `</button>`, `<input type=submit formaction=a>`, `<input>`, `<input type=hidden>`,
	`<svg>`, `</svg>`, `<svg/>`, `<g>`, `</g>`, `<foreignObject>`, `</foreignObject>`, `<desc>`, `</desc>`,
	`<title>`, `</title>`, `<path/>`, `<math>`, `</math>`, `<mi>`, `</mi>`, `<mglyph>`, `<malignmark/>`,
	`<annotation-xml>`, `<annotation-xml encoding=Text/HTML>`, `</annotation-xml>`, `<![CDATA[`, `]]>`, `x`, ` `,
	`<style>`, `</style>`, `<script>`, `</script>`, `<!--`, `-->`, `<textarea>`, `</textarea>`, `<xmp>`, `</xmp>`,
	`<iframe>`, `</iframe>`, `<noscript>`, `</noscript>`, `<noframes>`, `</noframes>`, `<plaintext>`,
	`<template>`, `</template>`, `<select>`, `</select>`, `<option>`, `</option>`, `<optgroup>`,
	`<table>`, `</table>`, `<tr>`, `</tr>`, `<td>`, `</td>`, `<th>`, `<tbody>`, `</tbody>`, `<caption>`, `</caption>`,
	`<col>`, `<colgroup>`, `</colgroup>`, `<frameset>`, `</frameset>`, `<frame>`, `<head>`, `</head>`,
	`<body>`, `</body>`, `<html>`, `</html>`, `<base href=//evil/>`, `<base href=/>`, `<base>`, `<meta charset=utf-8>`, `<link>`,
	`<p>`, `</p>`, `<div>`, `</div>`, `<b>`, `</b>`, `<a>`, `</a>`, `<nobr>`, `</nobr>`, `<i>`, `</i>`, `<font>`, `<font color=x>`, `</font>`,
	`<li>`, `</li>`, `<dd>`, `<h1>`, `</h1>`, `<h2>`, `<br>`, `</br>`, `<hr>`, `<img>`, `<image>`, `<span>`, `</span>`, `<ruby>`, `<rt>`,
	`<object>`, `</object>`, `<section>`, `</section>`, `<svg a=/>`, `<svg a=1 a=/>`, `<section/>`, `<a/>`, `<form/>`, `<keygen>`,
	`<!doctype html>`, `<x-y>`, `</x-y>`, `<select multiple>`, `</input>`, `<embed>`, `<area>`, `<pre>`, `<listing>`, `<ul>`, `</ul>`,
	`<dialog>`, `<fieldset>`, `</fieldset>`, `<script/>`, `<title/>`, `<style/>`, `<template/>`, `<mtext>`, `</mtext>`, `<noembed>`,
	`</noembed>`, `<tfoot>`, `<marquee>`, `</marquee>`, `<em>`, `</em>`, `<search>`, `<!x>`, `<?y>`, `</ z>`, "\x00", "\r\n",
}
