package offline

import (
	"slices"
	"sync"
)

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

// The shells of commands.
const (
	shellCmd   = "cmd"
	shellPower = "PowerShell"
	program    = "program"
)

// row is a command with the code that carries it out: exactly one of the functions is set.
type row struct {
	Command
	internal func(s *session, c call) (int, error)                  // of cmd
	program  func(s *session, name text, args []text) (int, error)  // with arguments as C programs see them
	line     func(s *session, name, rest text) (int, error)         // with its command line
	cmdlet   func(p *power, c *cmdletCall) ([]value, error)         // of PowerShell
	method   func(p *power, name text, args []value) (value, error) // static method of .NET

	glued      string // characters that may follow the name of a command of cmd at once
	exact      bool   // what it prints is known to the letter
	keepsLevel bool   // ERRORLEVEL stays as it is
	params     []param
}

func (r *row) isProgram() bool { return r.program != nil || r.line != nil }

// Commands returns the table of all commands, in the order in which it is printed.
func Commands() []Command {
	var out []Command
	for _, r := range table() {
		c := r.Command
		c.Aliases, c.Options = slices.Clone(c.Aliases), slices.Clone(c.Options)
		out = append(out, c)
	}
	return out
}

var rows struct {
	once sync.Once
	list []row
}

// table is made once, at the first use: rows refer to functions that look into it.
func table() []row {
	rows.once.Do(func() { rows.list = slices.Concat(cmdTable(), programTable(), powerTable()) })
	return rows.list
}

func cmdTable() []row {
	const file = `./\`
	return []row{
		{Command: Command{Name: "echo", Shell: shellCmd, Syntax: "echo TEXT > FILE", Notes: "also echo. for an empty line; a file gets ASCII only"},
			internal: cmdEcho, glued: `./\:+[](,;=`, exact: true, keepsLevel: true},
		{Command: Command{Name: "type", Shell: shellCmd, Syntax: "type FILE > FILE", Notes: "type nul > FILE makes an empty file; no UTF-16"},
			internal: cmdType, exact: true},
		{Command: Command{Name: "mkdir", Aliases: []string{"md"}, Shell: shellCmd, Syntax: "mkdir DIR...", Notes: "makes missing parents; fails if DIR exists"},
			internal: cmdMkdir, glued: `\.`, exact: true},
		{Command: Command{Name: "rmdir", Aliases: []string{"rd"}, Shell: shellCmd, Syntax: "rmdir [/S /Q] DIR...",
			Options: []Option{{"/S", "with everything in it; needs /Q"}, {"/Q", "does not ask"}}, Notes: "of a link, the link alone"},
			internal: cmdRmdir, glued: `/`, exact: true, keepsLevel: true},
		{Command: Command{Name: "del", Aliases: []string{"erase"}, Shell: shellCmd, Syntax: "del [/F] [/S] [/Q] [/A[:ATTRIBUTES]] FILE...",
			Options: []Option{{"/F", "read-only files, too"}, {"/S", "in all directories below, too"}, {"/Q", "does not ask; needed for * and for a directory"},
				{"/A", "files with these attributes, R A S H, or without after a minus sign; without /A, hidden and system files are not seen"}},
			Notes: "* and ? are compared with long names alone"},
			internal: cmdDel, glued: `/`, exact: true},
		{Command: Command{Name: "copy", Shell: shellCmd, Syntax: "copy [/Y] [/V] [/B] FILE [FILE|DIR]",
			Options: []Option{{"/Y", "no effect here: copy does not ask after cmd /c"}, {"/V", "no effect here"}, {"/B", "no effect here"}},
			Notes:   "no joining of files; hidden and system files are not seen; a link is copied as its target"},
			internal: cmdCopy, glued: `/`, exact: true},
		{Command: Command{Name: "move", Shell: shellCmd, Syntax: "move [/Y] FILE|DIR [FILE|DIR]",
			Options: []Option{{"/Y", "no effect here: move does not ask after cmd /c"}}},
			internal: cmdMove, glued: `/`},
		{Command: Command{Name: "ren", Aliases: []string{"rename"}, Shell: shellCmd, Syntax: "ren FILE|DIR NAME", Notes: "NAME may be *.EXT, NAME.* and the like"},
			internal: cmdRen, exact: true},
		{Command: Command{Name: "mklink", Shell: shellCmd, Syntax: "mklink [/D|/J|/H] LINK TARGET",
			Options: []Option{{"/D", "a symbolic link to a directory"}, {"/J", "a junction"}, {"/H", "a hard link"}}},
			internal: cmdMklink, glued: `/`},
		{Command: Command{Name: "set", Shell: shellCmd, Syntax: "set NAME=VALUE", Notes: "for programs that the same line starts; variables in the line itself are expanded before"},
			internal: cmdSet, keepsLevel: true},
		{Command: Command{Name: "cd", Aliases: []string{"chdir"}, Shell: shellCmd, Syntax: "cd [/D] DIR", Options: []Option{{"/D", "no effect here: there is one drive"}}},
			internal: cmdCd, glued: file, exact: true},
		{Command: Command{Name: "pushd", Shell: shellCmd, Syntax: "pushd DIR"}, internal: cmdPushd, exact: true},
		{Command: Command{Name: "popd", Shell: shellCmd, Syntax: "popd"}, internal: cmdPopd, exact: true, keepsLevel: true},
		{Command: Command{Name: "exit", Shell: shellCmd, Syntax: "exit [/B] [STATUS]", Options: []Option{{"/B", "no effect here"}}}, internal: cmdExit, glued: `/`, exact: true},
		{Command: Command{Name: "title", Shell: shellCmd, Syntax: "title TEXT", Notes: "no effect"}, internal: cmdNothing, exact: true, keepsLevel: true},
		{Command: Command{Name: "color", Shell: shellCmd, Syntax: "color CODE", Notes: "no effect"}, internal: cmdNothing, exact: true, keepsLevel: true},
		{Command: Command{Name: "ver", Shell: shellCmd, Syntax: "ver", Notes: "no effect"}, internal: cmdNothing},
	}
}

func programTable() []row {
	wow := Option{"/reg:64", "no effect: it is the view of all programs here"}
	return []row{
		{Command: Command{Name: "reg", Shell: program, Syntax: "reg add KEY [/v NAME|/ve] [/t TYPE] [/s CHARACTER] [/d DATA] [/f]; reg delete KEY [/v NAME|/ve|/va] /f; " +
			"reg copy KEY KEY [/s] [/f]; reg import FILE; reg query KEY [/v NAME]",
			Options: []Option{{"/v", "the value NAME"}, {"/ve", "the default value"}, {"/va", "all values"}, {"/t", "the type, REG_SZ if not given"},
				{"/s", "of add: what separates the texts of REG_MULTI_SZ; of copy: with all subkeys"}, {"/d", "the data"}, {"/f", "does not ask; delete needs it"}, wow},
			Notes: `keys of HKLM\SOFTWARE, HKLM\SYSTEM, HKU\.DEFAULT, HKCR, and HKCU if the image has the profile of ContainerAdministrator; query only as a condition; a .reg file must be without fault`},
			program: regProgram, exact: true},
		{Command: Command{Name: "setx", Shell: program, Syntax: "setx NAME VALUE [/M]",
			Options: []Option{{"/M", "the variable of the machine; without it that of the user"}}, Notes: "a value with a percent sign becomes REG_EXPAND_SZ; 1,024 characters at most"},
			program: setxProgram, exact: true},
		{Command: Command{Name: "xcopy", Shell: program, Syntax: "xcopy FILE|DIR [DIR] [/S|/E] [/I] [/Y] [/H] [/K] [/R] [/Q]",
			Options: []Option{{"/S", "with directories that are not empty"}, {"/E", "with all directories"}, {"/I", "the target of several files is a directory"},
				{"/Y", "overwrites"}, {"/H", "hidden and system files, too"}, {"/K", "keeps the read-only attribute"}, {"/R", "overwrites read-only files"},
				{"/Q", "no effect here, nor have /F, /V, /C and /J"}}},
			program: xcopyProgram},
		{Command: Command{Name: "attrib", Shell: program, Syntax: "attrib +R|-R|+A|-A|+S|-S|+H|-H|+I|-I... FILE|DIR [/S [/D]]",
			Options: []Option{{"/S", "in all directories below, too"}, {"/D", "directories, too"}}},
			program: attribProgram, exact: true},
		{Command: Command{Name: "icacls", Shell: program, Syntax: "icacls FILE|DIR [/grant[:r] ACCOUNT:RIGHTS...] [/deny ACCOUNT:RIGHTS...] [/remove[:g|:d] ACCOUNT...] [/inheritance:e|d|r] [/setowner ACCOUNT] [/reset] [/T] [/C] [/Q]",
			Options: []Option{{"/grant", "adds rights; :r replaces those of the account"}, {"/deny", "denies rights"}, {"/remove", "removes the account; :g from grants, :d from denials"},
				{"/inheritance", "e: inherits again, d: keeps copies, r: removes what is inherited"}, {"/setowner", "the owner"}, {"/reset", "what is inherited alone"},
				{"/T", "everything below, too"}, {"/C", "no effect here"}, {"/Q", "no effect here"}},
			Notes: "RIGHTS are (OI)(CI)(IO)(NP) and F M RX R W D or specific ones in parentheses; ACCOUNT is a name that every Windows has, NT SERVICE\\NAME, IIS APPPOOL\\NAME, or *SID"},
			program: icaclsProgram},
		{Command: Command{Name: "takeown", Shell: program, Syntax: "takeown /F FILE|DIR [/A] [/R [/D Y]]",
			Options: []Option{{"/F", "the file or directory"}, {"/A", "the owner is Administrators and not ContainerAdministrator"}, {"/R", "everything below, too"}, {"/D", "Y alone"}}},
			program: takeownProgram},
		{Command: Command{Name: "cmd", Shell: program, Syntax: "cmd [/S] [/Q] [/D] [/E:ON] [/V:OFF] /C COMMAND",
			Options: []Option{{"/S", "removes the outer quotes, as is done without it here"}, {"/Q", "no effect, nor have /D, /E:ON and /V:OFF"}, {"/C", "the command"}},
			Notes:   "&&, ||, &, parentheses, if, rem, ^, %NAME%, %NAME:a=b%, %NAME:~n,m%, >, >>, 2>&1"},
			line: cmdProgram, exact: true},
		{Command: Command{Name: "powershell", Aliases: []string{"pwsh"}, Shell: program, Syntax: "powershell [-NoProfile] [-NoLogo] [-NonInteractive] [-ExecutionPolicy POLICY] [-Command] COMMAND",
			Options: []Option{{"-Command", "what to do"}, {"-ExecutionPolicy", "no effect, nor have -NoProfile, -NoLogo and -NonInteractive"}},
			Notes:   "commands with words, strings, variables, +, -f and parentheses as arguments, if with Test-Path; ; and line breaks; | Out-Null"},
			line: powerProgram},
	}
}
