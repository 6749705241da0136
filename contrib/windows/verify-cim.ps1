<#
.SYNOPSIS
Mounts a CimFS image and compares what Windows shows with a manifest.

.DESCRIPTION
The manifest is what "mullion cim ls --json IMAGE.cim" printed: one JSON object a
line for every name in the image. The script mounts the image, walks the volume
and compares names, sizes, SHA-256 of every stream, attributes, four times,
security descriptors, extended attributes, reparse data, alternate streams and
hard links. It prints one line for every difference and a summary, dismounts, and
exits 0 if there was no difference, 1 if there was one, 2 if the image did not
mount or the script could not run.

Mounting needs an elevated session on a Windows that has CimFS: Windows 11,
Windows Server 2022 or later. Windows PowerShell 5.1 and PowerShell 7 both work.

.PARAMETER Image
Path of the .cim file. Its region and objectid files, and those of the images it
was forked from, lie beside it.

.PARAMETER Manifest
Path of the manifest.

.PARAMETER MountFlags
Flags of CimMountImage, 0 by default. 2 is direct access, 4 caches files, 8 caches
regions.

.PARAMETER KeepMounted
Leaves the volume mounted and prints its path.

.EXAMPLE
.\verify-cim.ps1 -Image C:\images\base.cim -Manifest C:\images\base.jsonl
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)][string]$Image,
    [Parameter(Mandatory = $true)][string]$Manifest,
    [uint32]$MountFlags = 0,
    [switch]$KeepMounted
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Type -TypeDefinition @'
using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.IO;
using System.Runtime.InteropServices;
using System.Security.AccessControl;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;

#pragma warning disable 169, 649 // fields that Windows fills; Add-Type takes a warning for an error

namespace Mullion
{
    // What Windows says about one name.
    public sealed class Facts
    {
        public uint Attributes;
        public long Creation, LastAccess, LastWrite, Change, Size;
        public string Sddl;      // null if it could not be read
        public string Reparse;   // lower-case hex of the REPARSE_DATA_BUFFER, "" if none
        public string EAs;       // NAME=flags:hex, sorted, joined with semicolons
        public Dictionary<string, long> Streams = new Dictionary<string, long>(StringComparer.OrdinalIgnoreCase);
        public string[] Links;   // paths from the root of the volume, null if not supported
    }

    public static class Cim
    {
        [DllImport("cimfs.dll", CharSet = CharSet.Unicode, ExactSpelling = true)]
        static extern int CimMountImage(string containingPath, string name, uint flags, ref Guid volume);
        [DllImport("cimfs.dll", ExactSpelling = true)]
        static extern int CimDismountImage(ref Guid volume);

        [StructLayout(LayoutKind.Sequential)]
        struct BasicInfo { public long Creation, LastAccess, LastWrite, Change; public uint Attributes; uint pad; }
        [StructLayout(LayoutKind.Sequential)]
        struct StandardInfo { public long Allocation, EndOfFile; public uint Links; public byte DeletePending, Directory; }
        [StructLayout(LayoutKind.Sequential, CharSet = CharSet.Unicode)]
        struct StreamData { public long Size; [MarshalAs(UnmanagedType.ByValTStr, SizeConst = 296)] public string Name; }
        // WIN32_FIND_DATAW: its times are pairs of 32-bit words, which nothing aligns to 8.
        [StructLayout(LayoutKind.Sequential, CharSet = CharSet.Unicode, Pack = 4)]
        struct FindData
        {
            public uint Attributes; public long Creation, LastAccess, LastWrite; public uint SizeHigh, SizeLow, R0, R1;
            [MarshalAs(UnmanagedType.ByValTStr, SizeConst = 260)] public string Name;
            [MarshalAs(UnmanagedType.ByValTStr, SizeConst = 14)] public string Short;
        }
        [StructLayout(LayoutKind.Sequential)]
        struct IoStatus { public IntPtr Status, Information; }

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, ExactSpelling = true, SetLastError = true)]
        static extern SafeFileHandle CreateFileW(string name, uint access, uint share, IntPtr sa, uint disposition, uint flags, IntPtr template);
        [DllImport("kernel32.dll", ExactSpelling = true, SetLastError = true, EntryPoint = "GetFileInformationByHandleEx")]
        static extern bool GetBasic(SafeFileHandle h, int kind, out BasicInfo info, int size);
        [DllImport("kernel32.dll", ExactSpelling = true, SetLastError = true, EntryPoint = "GetFileInformationByHandleEx")]
        static extern bool GetStandard(SafeFileHandle h, int kind, out StandardInfo info, int size);
        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, ExactSpelling = true, SetLastError = true)]
        static extern IntPtr FindFirstStreamW(string name, int level, out StreamData data, uint flags);
        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, ExactSpelling = true, SetLastError = true)]
        static extern bool FindNextStreamW(IntPtr find, out StreamData data);
        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, ExactSpelling = true, SetLastError = true)]
        static extern IntPtr FindFirstFileNameW(string name, uint flags, ref uint length, StringBuilder link);
        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, ExactSpelling = true, SetLastError = true)]
        static extern bool FindNextFileNameW(IntPtr find, ref uint length, StringBuilder link);
        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, ExactSpelling = true, SetLastError = true)]
        static extern IntPtr FindFirstFileW(string name, out FindData data);
        [DllImport("kernel32.dll", CharSet = CharSet.Unicode, ExactSpelling = true, SetLastError = true)]
        static extern bool FindNextFileW(IntPtr find, out FindData data);
        [DllImport("kernel32.dll", ExactSpelling = true, SetLastError = true)]
        static extern bool FindClose(IntPtr find);
        [DllImport("kernel32.dll", ExactSpelling = true, SetLastError = true)]
        static extern bool DeviceIoControl(SafeFileHandle h, uint code, IntPtr input, int inputSize, byte[] output, int outputSize, out int returned, IntPtr overlapped);
        [DllImport("ntdll.dll", ExactSpelling = true)]
        static extern int NtQueryEaFile(SafeFileHandle h, out IoStatus status, byte[] buffer, int length, bool single, IntPtr list, int listLength, IntPtr index, bool restart);
        [DllImport("advapi32.dll", ExactSpelling = true, SetLastError = true)]
        static extern bool GetKernelObjectSecurity(SafeFileHandle h, uint what, byte[] buffer, int length, out int needed);
        [DllImport("advapi32.dll", ExactSpelling = true, SetLastError = true)]
        static extern bool OpenProcessToken(IntPtr process, uint access, out IntPtr token);
        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, ExactSpelling = true, SetLastError = true)]
        static extern bool LookupPrivilegeValueW(string system, string name, out long luid);
        [DllImport("advapi32.dll", ExactSpelling = true, SetLastError = true)]
        static extern bool AdjustTokenPrivileges(IntPtr token, bool disableAll, [In] byte[] state, int length, IntPtr previous, IntPtr returned);
        [DllImport("kernel32.dll", ExactSpelling = true)]
        static extern IntPtr GetCurrentProcess();
        [DllImport("kernel32.dll", ExactSpelling = true)]
        static extern bool CloseHandle(IntPtr h);

        static readonly IntPtr None = new IntPtr(-1);
        const uint OpenAsIs = 0x02000000 | 0x00200000; // backup semantics, do not follow reparse points
        const uint AccessSystemSecurity = 0x01000000;

        public static int Mount(string dir, string name, uint flags, Guid volume) { return CimMountImage(dir, name, flags, ref volume); }
        public static int Dismount(Guid volume) { return CimDismountImage(ref volume); }

        // Enable turns on a privilege of this process; false if the process has it not.
        public static bool Enable(string privilege)
        {
            IntPtr token;
            long luid;
            if (!OpenProcessToken(GetCurrentProcess(), 0x28, out token)) return false;
            try
            {
                if (!LookupPrivilegeValueW(null, privilege, out luid)) return false;
                byte[] state = new byte[16]; // TOKEN_PRIVILEGES with one entry, packed to 4
                BitConverter.GetBytes((uint)1).CopyTo(state, 0);
                BitConverter.GetBytes(luid).CopyTo(state, 4);
                BitConverter.GetBytes((uint)2).CopyTo(state, 12);
                return AdjustTokenPrivileges(token, false, state, state.Length, IntPtr.Zero, IntPtr.Zero) && Marshal.GetLastWin32Error() == 0;
            }
            finally { CloseHandle(token); }
        }

        static SafeFileHandle Open(string path, uint access)
        {
            SafeFileHandle h = CreateFileW(path, access, 7, IntPtr.Zero, 3, OpenAsIs, IntPtr.Zero);
            if (h.IsInvalid) throw new Win32Exception(Marshal.GetLastWin32Error(), path + ": " + new Win32Exception(Marshal.GetLastWin32Error()).Message);
            return h;
        }

        // Names lists a directory.
        public static string[] Names(string dir)
        {
            List<string> names = new List<string>();
            FindData d;
            IntPtr f = FindFirstFileW(dir.TrimEnd('\\') + "\\*", out d);
            if (f == None)
            {
                int e = Marshal.GetLastWin32Error();
                if (e == 2 || e == 18) return names.ToArray(); // an empty root has neither . nor ..
                throw new Win32Exception(e);
            }
            try
            {
                do { if (d.Name != "." && d.Name != "..") names.Add(d.Name); } while (FindNextFileW(f, out d));
                int e = Marshal.GetLastWin32Error();
                if (e != 18) throw new Win32Exception(e);
            }
            finally { FindClose(f); }
            return names.ToArray();
        }

        public static Facts Look(string path, bool systemSecurity)
        {
            Facts x = new Facts();
            using (SafeFileHandle h = Open(path, 0x80000000 | (systemSecurity ? AccessSystemSecurity : 0)))
            {
                BasicInfo b;
                StandardInfo s;
                if (!GetBasic(h, 0, out b, Marshal.SizeOf(typeof(BasicInfo)))) throw new Win32Exception();
                if (!GetStandard(h, 1, out s, Marshal.SizeOf(typeof(StandardInfo)))) throw new Win32Exception();
                x.Attributes = b.Attributes; x.Creation = b.Creation; x.LastAccess = b.LastAccess;
                x.LastWrite = b.LastWrite; x.Change = b.Change; x.Size = s.EndOfFile;
                x.Sddl = Security(h, systemSecurity);
                x.Reparse = (b.Attributes & 0x400) != 0 ? Reparse(h) : "";
                x.EAs = EAs(h);
            }
            StreamData d;
            IntPtr f = FindFirstStreamW(path, 0, out d, 0);
            if (f != None)
            {
                try { do { x.Streams[d.Name] = d.Size; } while (FindNextStreamW(f, out d)); }
                finally { FindClose(f); }
            }
            x.Links = (x.Attributes & 0x10) != 0 ? null : Links(path);
            return x;
        }

        static string Security(SafeFileHandle h, bool system)
        {
            uint what = 7u | (system ? 8u : 0u);
            int needed;
            byte[] buffer = new byte[65536];
            if (!GetKernelObjectSecurity(h, what, buffer, buffer.Length, out needed)) return null;
            return Sddl(buffer, system);
        }

        // Sddl turns a self-relative descriptor to text, the form in which two can be
        // compared whatever their layout.
        public static string Sddl(byte[] descriptor, bool system)
        {
            AccessControlSections s = AccessControlSections.Owner | AccessControlSections.Group | AccessControlSections.Access;
            if (system) s |= AccessControlSections.Audit;
            return new RawSecurityDescriptor(descriptor, 0).GetSddlForm(s);
        }

        static string Reparse(SafeFileHandle h)
        {
            byte[] buffer = new byte[16384];
            int n;
            if (!DeviceIoControl(h, 0x900A8, IntPtr.Zero, 0, buffer, buffer.Length, out n, IntPtr.Zero)) return "unreadable: " + Marshal.GetLastWin32Error();
            return Hex(buffer, 0, n);
        }

        static string EAs(SafeFileHandle h)
        {
            byte[] buffer = new byte[65536];
            IoStatus io;
            int status = NtQueryEaFile(h, out io, buffer, buffer.Length, false, IntPtr.Zero, 0, IntPtr.Zero, true);
            if (status == unchecked((int)0xC0000052) || status == unchecked((int)0xC000004F)) return ""; // no EAs, not supported
            if (status < 0) return "unreadable: 0x" + status.ToString("x8");
            return EAText(buffer, (int)io.Information);
        }

        // EAText turns a list of FILE_FULL_EA_INFORMATION to sorted text.
        public static string EAText(byte[] b, int length)
        {
            List<string> list = new List<string>();
            int at = 0;
            while (at + 8 <= length)
            {
                int next = BitConverter.ToInt32(b, at), name = b[at + 5], value = BitConverter.ToUInt16(b, at + 6);
                list.Add(Encoding.ASCII.GetString(b, at + 8, name).ToUpperInvariant() + "=" + b[at + 4] + ":" + Hex(b, at + 9 + name, value));
                if (next <= 0) break;
                at += next;
            }
            list.Sort(StringComparer.Ordinal);
            return string.Join(";", list.ToArray());
        }

        static string[] Links(string path)
        {
            List<string> names = new List<string>();
            uint n = 32768;
            StringBuilder b = new StringBuilder((int)n);
            IntPtr f = FindFirstFileNameW(path, 0, ref n, b);
            if (f == None) return null;
            try
            {
                do
                {
                    names.Add(b.ToString().TrimStart('\\'));
                    n = 32768;
                    b = new StringBuilder((int)n);
                } while (FindNextFileNameW(f, ref n, b));
            }
            finally { FindClose(f); }
            names.Sort(StringComparer.OrdinalIgnoreCase);
            return names.ToArray();
        }

        // Sha256 reads a whole stream; path may end in ":stream".
        public static string Sha256(string path)
        {
            using (SafeFileHandle h = Open(path, 0x80000000))
            using (FileStream s = new FileStream(h, FileAccess.Read, 1 << 20))
            using (SHA256 sha = SHA256.Create())
            {
                byte[] d = sha.ComputeHash(s);
                return Hex(d, 0, d.Length);
            }
        }

        public static string Hex(byte[] b, int at, int n)
        {
            StringBuilder s = new StringBuilder(2 * n);
            for (int i = 0; i < n; i++) s.Append(b[at + i].ToString("x2"));
            return s.ToString();
        }

        public static byte[] Bytes(string hex)
        {
            byte[] b = new byte[hex.Length / 2];
            for (int i = 0; i < b.Length; i++) b[i] = Convert.ToByte(hex.Substring(2 * i, 2), 16);
            return b;
        }

        // Time formats as the manifest does, also what DateTime cannot hold: the calendar
        // repeats every 400 years.
        public static string Time(long filetime)
        {
            const long Cycle = 146097 * 864000000000;
            long cycles = filetime / Cycle, rest = filetime % Cycle;
            if (rest < 0) { cycles--; rest += Cycle; }
            DateTime t = DateTime.FromFileTimeUtc(rest);
            System.Globalization.CultureInfo c = System.Globalization.CultureInfo.InvariantCulture;
            return (t.Year + 400 * cycles).ToString("0000", c) + t.ToString("-MM-dd'T'HH:mm:ss.fffffff'Z'", c);
        }
    }
}
'@

# Field returns a property of a manifest entry, or a default where it was left out.
function Field($entry, [string]$name, $default) {
    $p = $entry.PSObject.Properties[$name]
    if ($null -eq $p -or $null -eq $p.Value) { return $default }
    return $p.Value
}

$script:differences = 0
function Differ([string]$path, [string]$what, $expected, $found) {
    $script:differences++
    Write-Output ('DIFFERENT {0}: {1}: expected {2}, found {3}' -f $path, $what, $expected, $found)
}

# Compare-Entry compares one name with its manifest entry.
function Compare-Entry($entry, [string]$full, [bool]$system) {
    $path = $entry.path
    try { $facts = [Mullion.Cim]::Look($full, $system) }
    catch { Differ $path 'open' 'to succeed' $_.Exception.Message; return }

    $expected = [uint32]$entry.attributes.value
    $found = $facts.Attributes
    # A file without attributes is shown as NORMAL.
    if ($expected -eq 0) { $expected = [uint32]0x80 }
    if ($expected -ne $found) { Differ $path 'attributes' ('0x{0:x}' -f $expected) ('0x{0:x}' -f $found) }

    foreach ($pair in @(@('created', $facts.Creation), @('accessed', $facts.LastAccess), @('written', $facts.LastWrite), @('changed', $facts.Change))) {
        $t = [Mullion.Cim]::Time($pair[1])
        $e = Field $entry $pair[0] ([Mullion.Cim]::Time(0)) # a time of 0 is left out
        # PowerShell 7 turns such text into a DateTime by itself.
        if ($e -is [datetime]) { $e = $e.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'", [Globalization.CultureInfo]::InvariantCulture) }
        if ($t -cne $e) { Differ $path $pair[0] $e $t }
    }

    $sd = Field $entry 'securityData' ''
    if ($sd -ne '') {
        $e = [Mullion.Cim]::Sddl([Mullion.Cim]::Bytes($sd), $system)
        if ($e -cne $facts.Sddl) { Differ $path 'security descriptor' $e $facts.Sddl }
    }

    $reparse = Field (Field $entry 'reparse' (New-Object PSObject)) 'data' ''
    if ($reparse -cne $facts.Reparse) { Differ $path 'reparse data' $reparse $facts.Reparse }

    $eas = @(Field $entry 'eas' @() | ForEach-Object { '{0}={1}:{2}' -f $_.name.ToUpperInvariant(), $_.flags, $_.value })
    [Array]::Sort($eas, [StringComparer]::Ordinal)
    $e = $eas -join ';'
    if ($e -cne $facts.EAs) { Differ $path 'extended attributes' $e $facts.EAs }

    $directory = ($entry.attributes.value -band 0x10) -ne 0
    if (-not $directory) {
        if ([int64]$entry.size -ne $facts.Size) { Differ $path 'size' $entry.size $facts.Size }
        elseif ($reparse -eq '') { Compare-Digest $path $full (Field $entry 'sha256' '') }
    }

    $names = @{}
    foreach ($s in @(Field $entry 'streams' @())) {
        $stored = ':{0}:$DATA' -f $s.name
        $names[$stored] = $true
        if (-not $facts.Streams.ContainsKey($stored)) { Differ $path ('stream ' + $s.name) 'present' 'missing'; continue }
        if ($facts.Streams[$stored] -ne [int64]$s.size) { Differ $path ('size of stream ' + $s.name) $s.size $facts.Streams[$stored]; continue }
        Compare-Digest ('{0}:{1}' -f $path, $s.name) ('{0}:{1}' -f $full, $s.name) (Field $s 'sha256' '')
    }
    foreach ($k in $facts.Streams.Keys) {
        if ($k -cne '::$DATA' -and -not $names.ContainsKey($k)) { Differ $path ('stream ' + $k) 'missing' 'present' }
    }

    $links = @(Field $entry 'names' @())
    if (-not $directory) {
        if ($null -eq $facts.Links) { $script:unlisted++ }
        else {
            if ($links.Count -eq 0) { $links = @($path) }
            [Array]::Sort($links, [StringComparer]::OrdinalIgnoreCase)
            $e = $links -join ' | '
            $f = $facts.Links -join ' | '
            if ($e -cne $f) { Differ $path 'hard links' $e $f }
        }
    }
}

function Compare-Digest([string]$path, [string]$full, [string]$expected) {
    if ($expected -eq '') { return } # sparse: all zeros, as long as its size says
    try { $found = [Mullion.Cim]::Sha256($full) }
    catch { Differ $path 'read' 'to succeed' $_.Exception.Message; return }
    if ($found -cne $expected) { Differ $path 'sha256' $expected $found }
}

try {
    $Image = (Resolve-Path -LiteralPath $Image).ProviderPath
    $expected = New-Object 'System.Collections.Generic.Dictionary[string,object]' ([StringComparer]::Ordinal)
    $reader = New-Object System.IO.StreamReader((Resolve-Path -LiteralPath $Manifest).ProviderPath, (New-Object Text.UTF8Encoding($false)))
    try {
        while ($null -ne ($line = $reader.ReadLine())) {
            if ($line -eq '') { continue }
            $entry = $line | ConvertFrom-Json
            $expected[$entry.path] = $entry
        }
    } finally { $reader.Dispose() }

    [void][Mullion.Cim]::Enable('SeBackupPrivilege')
    $system = [Mullion.Cim]::Enable('SeSecurityPrivilege')
    $volume = [Guid]::NewGuid()
    $hr = [Mullion.Cim]::Mount([IO.Path]::GetDirectoryName($Image), [IO.Path]::GetFileName($Image), $MountFlags, $volume)
    if ($hr -lt 0) {
        Write-Output ('NOT MOUNTED {0}: 0x{1:x8} {2}' -f $Image, $hr, (New-Object ComponentModel.Win32Exception($hr)).Message)
        exit 2
    }
} catch {
    Write-Output ('FAILED {0}' -f $_)
    exit 2
}

$status = 2
try {
    $root = '\\?\Volume{' + $volume + '}\'
    $script:unlisted = 0
    $seen = 0
    $todo = New-Object 'System.Collections.Generic.Stack[string]'
    $todo.Push('')
    while ($todo.Count -gt 0) {
        $dir = $todo.Pop()
        foreach ($name in [Mullion.Cim]::Names($root + $dir)) {
            $path = $name
            if ($dir -ne '') { $path = $dir + '\' + $name }
            if (-not $expected.ContainsKey($path)) { Differ $path 'name' 'missing' 'present'; continue }
            $seen++
            $entry = $expected[$path]
            Compare-Entry $entry ($root + $path) $system
            [void]$expected.Remove($path)
            if ($entry.kind -ceq 'directory' -and $null -eq (Field $entry 'reparse' $null)) { $todo.Push($path) }
        }
    }
    foreach ($path in $expected.Keys) {
        if ($path -ne '') { Differ $path 'name' 'present' 'missing' }
    }
    if ($script:unlisted -gt 0) { Write-Output ('NOTE Windows listed no hard links of {0} files on this volume' -f $script:unlisted) }
    Write-Output ('{0} names compared on {1}, {2} differences' -f $seen, [Environment]::OSVersion.VersionString, $script:differences)
    $status = [int]($script:differences -gt 0)
} catch {
    Write-Output ('FAILED {0}' -f $_)
} finally {
    if ($KeepMounted) { Write-Output ('mounted at {0}' -f $root) }
    else {
        $hr = [Mullion.Cim]::Dismount($volume)
        if ($hr -lt 0) { Write-Output ('NOT DISMOUNTED {0}: 0x{1:x8}' -f $volume, $hr); $status = 2 }
    }
}
exit $status
