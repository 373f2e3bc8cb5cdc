package rewrite

import (
	"fmt"
	"strings"
)

// samplePage is like real ones: about 100 KB of text, links, lists, attributes,
// pictures and inline scripts, and two forms.
func samplePage(forms bool) string {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html>
<html lang="en" class="no-js">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Garden tools and seeds | The Shop</title>
<link rel="stylesheet" href="/static/css/main.4f2a1c.css">
<style>.card{display:grid;gap:1rem}.card>h3{margin:0}a:hover{text-decoration:underline}</style>
<script>window.dataLayer = window.dataLayer || []; for (var i = 0; i < 3 && !window.ready; i++) { dataLayer.push({'event': 'page', 'n': i}); }</script>
</head>
<body class="home page-template page shop">
<header id="top"><nav aria-label="Main"><ul class="menu">`)
	for i := range 12 {
		fmt.Fprintf(&b, `<li class="menu-item menu-item-%d"><a href="/category/tools-%d?sort=price&amp;page=1" data-track="nav-%d">Category %d</a></li>`+"\n", i, i, i, i)
	}
	b.WriteString(`</ul></nav><svg width="24" height="24" viewBox="0 0 24 24" aria-hidden="true"><title>Cart</title><path d="M7 18c-1.1 0-1.99.9-1.99 2S5.9 22 7 22s2-.9 2-2-.9-2-2-2z"/></svg></header>`)
	if forms {
		b.WriteString(`<form method="get" action="/search"><input type="search" name="q" placeholder="Search"><button type="submit">Go</button></form>
<form class="newsletter" method="post" action="/newsletter/subscribe?from=home"><label for="mail">Mail</label><input type="email" id="mail" name="mail" required><button>Subscribe</button></form>`)
	}
	for i := range 150 {
		fmt.Fprintf(&b, `<article class="card product" data-id="%d" data-price="%d.90">
  <a href="/product/%d-a-spade-of-steel" class="card__link" title="A spade of steel &amp; ash"><img src="/media/cache/resolve/small/%d/spade.jpg" alt="A spade, seen from the front" width="320" height="240" loading="lazy"></a>
  <h3><a href="/product/%d-a-spade-of-steel">Spade no. %d</a></h3>
  <p>Forged from one piece, with a handle of ash that lasts for years. It weighs less than two kilograms and goes into heavy soil
  where others bend. Comes with a cover, and can be sharpened like a knife.</p>
  <p class="price"><span class="sr-only">Price</span> <b>%d.90</b> &euro; <small>incl. VAT</small></p>
</article>
`, i, i, i, i, i, i, i)
	}
	if forms {
		b.WriteString(`<form method="post" action="/cart/add"><input type="hidden" name="csrf" value="1f3870be274f6c49b3e31a0c6728957f"><input type="number" name="n" value="1"><select name="size"><option value="s">S<option value="m" selected>M</select><textarea name="note"></textarea><button type="submit" class="btn btn-primary">Add to cart</button></form>`)
	}
	b.WriteString(`<footer><p>Made with care.</p></footer><script>`)
	for i := range 40 {
		fmt.Fprintf(&b, "  if (document.getElementById('p%d') && x < %d) { track(%d, \"<b>\" + name + \"</b>\"); }\n", i, i, i)
	}
	b.WriteString(`</script></body></html>`)
	return b.String()
}
