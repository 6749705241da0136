package offline

// powerTable are the commands of PowerShell.
func powerTable() []row {
	path := param{name: "Path", position: 1}
	literal := param{name: "LiteralPath", aliases: "pspath lp"}
	force := param{name: "Force", flag: true}
	recurse := param{name: "Recurse", flag: true}
	forceOption := Option{"-Force", "hidden and read-only files, too"}
	encodings := Option{"-Encoding", "ASCII, UTF8, Unicode, and utf8BOM and utf8NoBOM of pwsh; without it ASCII text alone"}
	newItem := []param{path, {name: "Name"}, {name: "ItemType", aliases: "type"}, {name: "Value", aliases: "target"}, force}
	content := []param{path, literal, {name: "Value", position: 2, pipe: true}, {name: "Encoding"}, {name: "NoNewline", flag: true}, force}
	moved := []param{path, literal, {name: "Destination", position: 2}, force}
	property := []param{path, literal, {name: "Name", position: 2, aliases: "psproperty"}, {name: "Value"}, {name: "PropertyType", aliases: "type"}, force}
	setProperty := []param{path, literal, {name: "Name", position: 2, aliases: "psproperty"}, {name: "Value", position: 3}, {name: "PropertyType", aliases: "type"}, force}
	write := []param{{name: "Object", position: 1, aliases: "inputobject msg message"}}
	const keys = `HKLM:\ and HKCU:\ name keys of the registry`
	return []row{
		{Command: Command{Name: "New-Item", Aliases: []string{"ni"}, Shell: shellPower,
			Syntax:  `New-Item [-Path] PATH [-Name NAME] -ItemType File|Directory|SymbolicLink|Junction|HardLink [-Value TEXT|-Target PATH] [-Force]; New-Item [-Path] HKLM:\KEY [-Value TEXT] [-Force]`,
			Options: []Option{{"-Value", "the content of a file, or of the default value of a key"}, {"-Target", "where a link leads: a whole path that exists"}, {"-Force", "makes parents of files and keys, and replaces what exists"}}, Notes: keys},
			cmdlet: psNewItem, params: newItem},
		{Command: Command{Name: "mkdir", Aliases: []string{"md"}, Shell: shellPower, Syntax: "mkdir [-Path] DIR [-Name NAME] [-Force]", Options: []Option{{"-Force", "is no error for a directory that exists"}}},
			cmdlet: psNewItem, params: []param{path, {name: "Name"}, force}},
		{Command: Command{Name: "Remove-Item", Aliases: []string{"ri", "rm", "rmdir", "del", "erase", "rd"}, Shell: shellPower, Syntax: "Remove-Item [-Path|-LiteralPath] PATH[, PATH...] [-Recurse] [-Force]",
			Options: []Option{{"-Recurse", "with everything in it"}, forceOption}, Notes: keys + "; no links to directories"},
			cmdlet: psRemoveItem, params: []param{path, literal, recurse, force}},
		{Command: Command{Name: "Copy-Item", Aliases: []string{"cp", "copy", "cpi"}, Shell: shellPower, Syntax: "Copy-Item [-Path|-LiteralPath] PATH[, PATH...] [-Destination] PATH [-Recurse] [-Force]",
			Options: []Option{{"-Recurse", "with everything in it"}, forceOption}, Notes: "a directory must exist to receive several files; no keys"},
			cmdlet: psCopyItem, params: append([]param{recurse}, moved...)},
		{Command: Command{Name: "Move-Item", Aliases: []string{"mv", "move", "mi"}, Shell: shellPower, Syntax: "Move-Item [-Path|-LiteralPath] PATH[, PATH...] [-Destination] PATH [-Force]",
			Options: []Option{{"-Force", "replaces a file"}}, Notes: "no keys"},
			cmdlet: psMoveItem, params: moved},
		{Command: Command{Name: "Rename-Item", Aliases: []string{"ren", "rni"}, Shell: shellPower, Syntax: "Rename-Item [-Path|-LiteralPath] PATH [-NewName] NAME", Notes: "no keys"},
			cmdlet: psRenameItem, params: []param{path, literal, {name: "NewName", position: 2}}},
		{Command: Command{Name: "Set-Content", Aliases: []string{"sc"}, Shell: shellPower, Syntax: "Set-Content [-Path|-LiteralPath] FILE [-Value] TEXT[, TEXT...] [-Encoding NAME] [-NoNewline] [-Force]; TEXT | Set-Content FILE",
			Options: []Option{encodings, {"-NoNewline", "no line ends"}, {"-Force", "read-only files, too"}}},
			cmdlet: psSetContent, params: content},
		{Command: Command{Name: "Add-Content", Aliases: []string{"ac"}, Shell: shellPower, Syntax: "Add-Content [-Path|-LiteralPath] FILE [-Value] TEXT[, TEXT...] [-Encoding NAME] [-NoNewline] [-Force]; TEXT | Add-Content FILE",
			Options: []Option{encodings, {"-NoNewline", "no line ends"}, {"-Force", "read-only files, too"}}},
			cmdlet: psSetContent, params: content},
		{Command: Command{Name: "Out-File", Shell: shellPower, Syntax: "TEXT | Out-File [-FilePath] FILE [-Encoding NAME] [-Append] [-NoNewline] [-Force]; TEXT > FILE",
			Options: []Option{{"-Encoding", "as of Set-Content; without it that of the shell, UTF-16 or UTF-8"}, {"-Append", "adds to the file"}, {"-NoNewline", "no line ends"}, {"-Force", "read-only files, too"}}, Notes: "lines of less than 80 characters"},
			cmdlet: psOutFile, params: []param{{name: "FilePath", position: 1, aliases: "path"}, {name: "Encoding", position: 2}, {name: "InputObject", pipe: true}, {name: "Append", flag: true}, {name: "NoNewline", flag: true}, force}},
		{Command: Command{Name: "New-ItemProperty", Shell: shellPower, Syntax: `New-ItemProperty [-Path|-LiteralPath] HKLM:\KEY [-Name] NAME -Value VALUE [-PropertyType TYPE] [-Force]`,
			Options: []Option{{"-PropertyType", "String, ExpandString, MultiString, Binary, DWord or QWord; String if not given"}, {"-Force", "replaces a value"}}},
			cmdlet: psItemProperty, params: property},
		{Command: Command{Name: "Set-ItemProperty", Aliases: []string{"sp"}, Shell: shellPower, Syntax: `Set-ItemProperty [-Path|-LiteralPath] HKLM:\KEY [-Name] NAME [-Value] VALUE [-Type TYPE] [-Force]; Set-ItemProperty FILE -Name IsReadOnly -Value $true|$false`,
			Options: []Option{{"-Type", "as -PropertyType of New-ItemProperty; that of the value that exists, or that of VALUE, if not given"}, {"-Force", "hidden files, too"}}},
			cmdlet: psItemProperty, params: setProperty},
		{Command: Command{Name: "Remove-ItemProperty", Aliases: []string{"rp"}, Shell: shellPower, Syntax: `Remove-ItemProperty [-Path|-LiteralPath] HKLM:\KEY [-Name] NAME[, NAME...] [-Force]`, Options: []Option{{"-Force", "no effect here"}}},
			cmdlet: psRemoveItemProperty, params: []param{path, literal, {name: "Name", position: 2, aliases: "psproperty"}, force}},
		{Command: Command{Name: "Test-Path", Shell: shellPower, Syntax: "if (Test-Path [-Path|-LiteralPath] PATH [-PathType Container|Leaf]) {...} else {...}; if (-not (Test-Path PATH)) {...}", Notes: "only as the condition of an if"},
			cmdlet: psTestPath, params: []param{path, literal, {name: "PathType", aliases: "type"}}},
		{Command: Command{Name: "Expand-Archive", Shell: shellPower, Syntax: "Expand-Archive [-Path|-LiteralPath] FILE.zip [[-DestinationPath] DIR] [-Force]",
			Options: []Option{{"-Force", "replaces files"}}, Notes: "the archive is in the image; times are taken for UTC"},
			cmdlet: psExpandArchive, params: []param{path, literal, {name: "DestinationPath", position: 2}, force}},
		{Command: Command{Name: "Set-Location", Aliases: []string{"cd", "sl", "chdir"}, Shell: shellPower, Syntax: "Set-Location [-Path|-LiteralPath] DIR"},
			cmdlet: psSetLocation, params: []param{path, literal}},
		{Command: Command{Name: "Write-Host", Shell: shellPower, Syntax: "Write-Host TEXT", Notes: "prints"}, cmdlet: psWrite, params: write},
		{Command: Command{Name: "Write-Output", Aliases: []string{"echo", "write"}, Shell: shellPower, Syntax: "Write-Output TEXT", Notes: "prints; to write a file, pipe TEXT itself"}, cmdlet: psWrite, params: write},
		{Command: Command{Name: "Out-Null", Shell: shellPower, Syntax: "COMMAND | Out-Null", Notes: "also COMMAND > $null"}, cmdlet: psOutNull, params: []param{{name: "InputObject", pipe: true}}},
		{Command: Command{Name: "[Environment]::SetEnvironmentVariable", Shell: shellPower, Syntax: "[Environment]::SetEnvironmentVariable('NAME', 'VALUE'[, 'Machine'|'User'|'Process'])",
			Notes: "also with System. and [EnvironmentVariableTarget]::Machine; a variable of the machine becomes REG_SZ; an empty VALUE deletes it"},
			method: psSetVariable},
		{Command: Command{Name: "[Environment]::GetEnvironmentVariable", Shell: shellPower, Syntax: "[Environment]::GetEnvironmentVariable('NAME'[, 'Machine'|'User'|'Process'])", Notes: "in an expression"},
			method: psGetVariable},
	}
}
