// Package platforms compares imported rules with Cloudflare Pages, Netlify and
// Vercel. They cannot be run here, but part of their own code is on npm: the
// asset server of Pages whole, Netlify's parser and matcher, and Vercel's
// routing-utils, which turns vercel.json into the routes that its proxy tries.
// judge.mjs asks them.
package platforms
