// Package arch holds the house together: who may import whom. It has no code
// of its own outside its tests. The direction is
//
//	cmd -> internal/{gateway,admin,rollout,configfile,demo} -> once -> store, seeother -> leaves
//
// and the table that says so is in rules_test.go. The same direction is held a
// second time by depguard in .golangci.yml, which shows a breach in an editor.
package arch
