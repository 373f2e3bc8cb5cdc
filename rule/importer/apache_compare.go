package importer

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// evaluate decides a condition on a known text.
func (c *apCond) evaluate(text string) (holds bool, groups []string, err error) {
	op, operand := c.operator()
	switch op {
	case "":
		e, err := c.expr(operand, c.nocase)
		if err != nil {
			return false, nil, err
		}
		holds = e.matches(text)
		if holds && !c.not {
			groups = e.find(text)
		}
	case "=":
		holds = text == operand || c.nocase && strings.EqualFold(text, operand)
	case "<", "<=", ">", ">=":
		holds = ordered(op, compareApache(text, operand, c.nocase))
	default:
		holds = ordered(map[string]string{"-lt": "<", "-le": "<=", "-gt": ">", "-ge": ">=", "-eq": "=", "-ne": "!="}[op], atoi(text)-atoi(operand))
	}
	return holds != c.not, groups, nil
}

// atoi is the number that a text begins with, as C has it; 0 where there is none.
func atoi(text string) int {
	text = strings.TrimLeft(text, apSpace)
	end := 0
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || end == 0 && (text[end] == '-' || text[end] == '+')) {
		end++
	}
	n, _ := strconv.Atoi(text[:end])
	return n
}

func ordered(op string, sign int) bool {
	switch op {
	case "<":
		return sign < 0
	case "<=":
		return sign <= 0
	case ">":
		return sign > 0
	case ">=":
		return sign >= 0
	case "!=":
		return sign != 0
	}
	return sign == 0
}

// compareApache compares as mod_rewrite does: by length first, but for NC.
func compareApache(a, b string, nocase bool) int {
	if nocase {
		return strings.Compare(strings.ToLower(a), strings.ToLower(b))
	}
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// operator takes the comparison off a pattern; "" for an expression.
func (c *apCond) operator() (op, operand string) {
	p := c.pattern
	if len(p) < 2 {
		return "", p
	}
	for _, op := range [...]string{"-lt", "-le", "-gt", "-ge", "-eq", "-ne"} {
		if rest, ok := strings.CutPrefix(p, op); ok && rest != "" {
			return op, rest
		}
	}
	for _, op := range [...]string{">=", "<=", ">", "<", "="} {
		if rest, ok := strings.CutPrefix(p, op); ok {
			if rest == `""` {
				rest = ""
			}
			return op, rest
		}
	}
	return "", p
}

// orderExpr is a comparison of texts as an expression: shorter is less, and
// among equally long ones the order of bytes decides.
func orderExpr(op, operand string, nocase bool) (string, error) {
	if nocase || strings.ContainsFunc(operand, func(c rune) bool { return c > 0x7e }) || len(operand) > 32 {
		return "", fmt.Errorf("a comparison by %s that is not taken over", op)
	}
	n := len(operand)
	var ways []string
	if op[0] == '>' {
		ways = append(ways, fmt.Sprintf("^.{%d}", n+1))
	} else if n > 0 {
		ways = append(ways, fmt.Sprintf("^.{0,%d}$", n-1))
	}
	for i := range n {
		low, high := operand[i]+1, byte(0x7f)
		if op[0] == '<' {
			low, high = 1, operand[i]-1
		}
		if low > high || operand[i] == 0 {
			continue
		}
		ways = append(ways, fmt.Sprintf(`^%s[\x%02x-\x%02x].{%d}$`, regexp.QuoteMeta(operand[:i]), low, high, n-i-1))
	}
	if strings.HasSuffix(op, "=") {
		ways = append(ways, "^"+regexp.QuoteMeta(operand)+"$")
	}
	if len(ways) == 0 {
		return `^\b$`, nil // never
	}
	return strings.Join(ways, "|"), nil
}
