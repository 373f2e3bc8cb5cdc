package rule

import (
	"math/bits"
	"strings"
)

// prefixes finds rules for a path and all below it: the path up to each of its
// slashes is looked up, as far as there are prefixes of so many segments.
type prefixes struct {
	index

	spaces []space
	depths uint64 // a bit for each number of segments; the last also for more
}

const maxDepth = 63

// hash is the key of a prefix, which is counted in depths.
func (p *prefixes) hash(prefix string, a *attrs) uint64 {
	p.depths |= 1 << min(strings.Count(prefix, "/"), maxDepth)
	return p.hashOf(a.c.space, a.host, prefix)
}

func (p *prefixes) search(m *Match) {
	for _, s := range p.spaces {
		if path, ok := m.path(s); ok {
			for _, host := range m.hosts {
				p.walk(m, s, host, path)
			}
		}
	}
}

// walk considers what lies on the way of a path.
func (p *prefixes) walk(m *Match, s space, host uint32, path string) {
	end := 0
	for depth := 0; ; depth++ {
		depths := p.depths >> min(depth, maxDepth)
		if depths&1 != 0 {
			m.chain(&p.index, p.hashOf(s, host, path[:end]), s, host, path[:end])
		}
		if end == len(path) || depths == 0 {
			return
		}
		end = slashAfter(path, end+1)
	}
}

// slashAfter is where the next slash is, or the end of s. Segments are short,
// and strings.IndexByte is made for longer texts.
func slashAfter(s string, from int) int {
	for ; from+8 <= len(s); from += 8 {
		x := word(s[from:]) ^ '/'*ones
		if zero := ^((x&^tops + (tops - ones)) | x) & tops; zero != 0 {
			return from + bits.TrailingZeros64(zero)/8
		}
	}
	for ; from < len(s) && s[from] != '/'; from++ {
	}
	return from
}
