package main

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/rule"
)

// rewriteYAML makes fixes in a YAML file, line by line, so that comments and
// order stay. What comes out is read again and must be the same rules but for
// the fixes; otherwise nothing is changed.
func rewriteYAML(file string, text []byte, fixes map[int]rule.Fix) ([]byte, error) {
	before, err := yamlRules(file, text)
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(text), "\n")
	want := slices.Clone(before)
	for _, line := range slices.Backward(slices.Sorted(maps.Keys(fixes))) {
		i, err := only(before, line)
		if err == nil {
			lines, err = mendItem(lines, line-1, fixes[line])
		}
		if err != nil {
			return nil, &lineError{line, err}
		}
		if fixes[line].Delete {
			want = slices.Delete(want, i, i+1)
		} else if want[i].Target = fixes[line].Value; fixes[line].Field != "target" {
			return nil, &lineError{line, errors.New("this field is not mended in YAML")}
		}
	}
	out := []byte(strings.Join(lines, ""))
	after, err := yamlRules(file, out)
	if err != nil || !sameRules(after, want) {
		return nil, errors.New("the file is written in a way that cannot be mended by program; write the mends by hand")
	}
	return out, nil
}

// yamlRules are the rules that stand in a configuration or in a file of rules.
func yamlRules(file string, text []byte) ([]rule.Rule, error) {
	if len(text) > configfile.MaxBytes {
		rules, _, err := configfile.ReadRules(file, text)
		return rules, err
	}
	read, err := configfile.Parse(file, text)
	return read.InlineRules(), err
}

func sameRules(a, b []rule.Rule) bool {
	return slices.EqualFunc(a, b, func(x, y rule.Rule) bool {
		x.Pos, y.Pos = rule.Position{}, rule.Position{}
		return reflect.DeepEqual(x, y)
	})
}

// only is the one rule that begins in a line.
func only(rules []rule.Rule, line int) (int, error) {
	at := -1
	for i := range rules {
		if rules[i].Pos.Line != line {
			continue
		}
		if at >= 0 {
			return 0, errors.New("two rules begin in this line")
		}
		at = i
	}
	if at < 0 {
		return 0, errors.New("no rule begins in this line")
	}
	return at, nil
}

var (
	yamlItem   = regexp.MustCompile(`^( *)- `)
	yamlTarget = regexp.MustCompile(`(?:^|[ {,])target:[ \t]+`)
	yamlPlain  = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9/_.%~+@-]*$`)
)

// mendItem changes or takes out the item of a list that begins in a line, from 0.
func mendItem(lines []string, start int, fix rule.Fix) ([]string, error) {
	dash := yamlItem.FindStringSubmatch(lines[start])
	if dash == nil {
		return nil, errors.New("the rule does not begin with a dash in a line of its own")
	}
	end := start + 1
	for i := end; i < len(lines); i++ {
		text := strings.TrimSpace(lines[i])
		if text == "" || text[0] == '#' {
			continue // part of it only where more of it follows
		}
		if len(lines[i])-len(strings.TrimLeft(lines[i], " ")) <= len(dash[1]) {
			break
		}
		end = i + 1
	}
	if fix.Delete {
		return slices.Delete(slices.Clone(lines), start, end), nil
	}
	for i := start; i < end; i++ {
		if at := yamlTarget.FindStringIndex(lines[i]); at != nil {
			changed, err := changeValue(lines[i], at[1], fix.Value)
			if err != nil {
				return nil, err
			}
			lines = slices.Clone(lines)
			lines[i] = changed
			return lines, nil
		}
	}
	return nil, errors.New("its target is not where one is expected")
}

// changeValue puts another value in the place of the one at a column.
func changeValue(line string, at int, value string) (string, error) {
	rest := line[at:]
	end := 0
	switch {
	case rest == "" || strings.ContainsRune("|>&*!", rune(rest[0])):
		return "", errors.New("its target is not a plain or quoted text in the same line")
	case rest[0] == '"' || rest[0] == '\'':
		end = strings.IndexByte(rest[1:], rest[0]) + 2
		if end == 1 || strings.IndexByte(rest[:end], '\\') >= 0 {
			return "", fmt.Errorf("its target %s cannot be read", strings.TrimSpace(rest))
		}
	default:
		ends := "\r\n"
		if strings.ContainsRune(line[:at], '{') {
			ends = ",}\r\n"
		}
		if end = strings.IndexAny(rest, ends); end < 0 {
			end = len(rest)
		}
		if i := strings.Index(rest[:end], " #"); i >= 0 {
			end = i
		}
		end = len(strings.TrimRight(rest[:end], " \t"))
	}
	if !yamlPlain.MatchString(value) {
		value = strconv.Quote(value)
	}
	return line[:at] + value + rest[end:], nil
}
