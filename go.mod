module github.com/mullion/mullion

go 1.26
