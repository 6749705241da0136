package offline

// Command is one row of the table of commands that can be carried out without Windows.
type Command struct {
	Name    string   // as it is typed: "xcopy", "New-Item"
	Aliases []string // other names of the same command
	Shell   string   // "cmd", "PowerShell", or "program" for those that both shells can run
	Syntax  string
	Options []Option
	Notes   string // what is different, or not supported
}

// Option is one option of a command.
type Option struct {
	Name  string // "/E", "-Recurse"
	Means string
}

// Commands returns the table, in the order in which it is printed.
func Commands() []Command { return nil }
