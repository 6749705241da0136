module github.com/mullion/mullion/bench

go 1.26

require github.com/mullion/mullion v0.0.0

replace github.com/mullion/mullion => ../
