package inventory

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
)

// hiveImage makes the file of a hive of keys and values.
func hiveImage(t *testing.T, lines string) []byte {
	t.Helper()
	h := regf.New(nil)
	defer h.Close()
	fill(t, h, lines)
	b, err := h.Compact(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func file(b []byte) *fstest.MapFile { return &fstest.MapFile{Data: b, Mode: 0o644} }

// Profiles are found with their variables expanded, once each and in order; one that is not
// in the image is skipped, one without a hive is passed over.
func TestUsers(t *testing.T) {
	h := software(t, `
Microsoft\Windows NT\CurrentVersion\ProfileList
Default=expand:%SystemDrive%\Users\Default
ProfilesDirectory=expand:%SystemDrive%\Users
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-18
ProfileImagePath=expand:%systemroot%\system32\config\systemprofile
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-19
ProfileImagePath=expand:%SystemRoot%\ServiceProfiles\LocalService
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-93-2-1
ProfileImagePath=C:\Users\ContainerAdministrator
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-93-2-1.bak
ProfileImagePath=c:\users\containeradministrator\
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-1
ProfileImagePath=expand:%SystemDrive%\Users\..\..\etc
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-2
ProfileImagePath=D:\Users\a
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-3
ProfileImagePath=\\server\share\a
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-4
ProfileImagePath=dword:4
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-5
ProfileImagePath=%SystemDrive%\Users\literal
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-6
ProfileImagePath=C:\Users\absent
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-7
ProfileImagePath=C:\Users\broken
Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-8
ProfileImagePath=C:\
`)
	ok := hiveImage(t, "Software\\A\n")
	s := NewSystem(fstest.MapFS{
		"Files/Users/ContainerAdministrator/NTUSER.DAT":              file(ok),
		"Files/Windows/ServiceProfiles/LocalService/NTUSER.DAT":      file(ok),
		"Files/Users/broken/NTUSER.DAT":                              file([]byte("regf")),
		"Files/Users/Default/NTUSER.DAT":                             file(ok),
		"Files/etc/NTUSER.DAT":                                       file(ok),
		"Files/Windows/system32/config/systemprofile/NTUSER.DAT/dir": file(nil),
	}, map[hives.Name]*regf.Hive{hives.Software: h})
	var got, bad []string
	for u, err := range users(s) {
		if err != nil {
			skip, isSkip := errors.AsType[*SkipError](err)
			if !isSkip {
				t.Fatal(err)
			}
			bad = append(bad, skip.Evidence.String())
			continue
		}
		if _, err := u.Hive.Key(`Software\A`); err != nil {
			t.Error(err)
		}
		got = append(got, u.SID+" "+u.Path)
	}
	if want := []string{
		`S-1-5-93-2-1 Files\Users\ContainerAdministrator\NTUSER.DAT`,
		`S-1-5-19 Files\Windows\ServiceProfiles\LocalService\NTUSER.DAT`,
	}; !slices.Equal(got, want) {
		t.Errorf("users\n%q, want\n%q", got, want)
	}
	const list = `SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-`
	if want := []string{list + "1", list + "2", list + "3", list + "5", list + "8",
		`Files\Users\broken\NTUSER.DAT`, `Files\Windows\system32\config\systemprofile\NTUSER.DAT`}; !slices.Equal(bad, want) {
		t.Errorf("skipped\n%q, want\n%q", bad, want)
	}
}

// A hive whose logs are missing is read as it stands, with the reason; one that is too large is not read.
func TestUserHiveFaults(t *testing.T) {
	dirty := hiveImage(t, "Software\n")
	dirty[4]++ // the first sequence number
	const name = "Files/Users/u/NTUSER.DAT"
	s := NewSystem(fstest.MapFS{name: file(dirty)}, nil)
	h, err := (&userReader{s, maxUserHives}).open(layerPath(name))
	if !errors.Is(err, regf.ErrNoUsableLog) || h == nil {
		t.Fatalf("a dirty hive without logs: %v, %v", h, err)
	}
	defer h.Close()
	if _, err := h.Key("Software"); err != nil {
		t.Errorf("a dirty hive without logs: %v", err)
	}
	s = NewSystem(fstest.MapFS{name: file(dirty), name + ".LOG1": file(make([]byte, maxUserLog+1))}, nil)
	if _, err := (&userReader{s, maxUserHives}).open(layerPath(name)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a log that is too large: %v", err)
	}
	s = NewSystem(lyingFS{}, nil)
	if _, err := (&userReader{s, maxUserHives}).read(layerPath(name), 1000); err == nil || !strings.Contains(err.Error(), "more than the 0 bytes") {
		t.Errorf("a file that is longer than it says: %v", err)
	}
}

// lyingFS has files whose size is not that of their content.
type lyingFS struct{}

func (lyingFS) Open(name string) (fs.File, error) {
	f, err := fstest.MapFS{name: file(nil)}.Open(name)
	return lyingFile{f, bytes.NewReader(make([]byte, 5000))}, err
}

type lyingFile struct {
	fs.File
	content *bytes.Reader
}

func (f lyingFile) Read(b []byte) (int, error) { return f.content.Read(b) }

// A genuine hive of a user gets the changes in its logs.
func TestUserHiveLogs(t *testing.T) {
	fsys := fstest.MapFS{}
	for _, suffix := range []string{"", ".LOG1", ".LOG2"} {
		b, err := os.ReadFile(testenv.Corpus(t, "hives", "mkorman90_regipy", "UsrClass.dat"+suffix))
		if err != nil {
			t.Fatal(err)
		}
		fsys["Files/Users/u/NTUSER.DAT"+suffix] = file(b)
	}
	h, err := (&userReader{NewSystem(fsys, nil), maxUserHives}).open(`Files\Users\u\NTUSER.DAT`)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	keys := 0
	for _, err := range h.Root().Walk() {
		if err != nil {
			t.Fatal(err)
		}
		keys++
	}
	if keys != 6238 { // 6205 without the logs
		t.Errorf("%d keys, want 6238", keys)
	}
}

func TestWantsUserHive(t *testing.T) {
	for path, want := range map[string]bool{
		`Files\Users\u\NTUSER.DAT`: true, `Files\Users\u\ntuser.dat.LOG1`: true, `NTUSER.DAT.LOG2`: true,
		`Files\Users\u\NTUSER.DAT{53b39e88-18c4-11ea-a811-000d3aa4692b}.TM.blf`: false, `Files\ntuser.da`: false, `Files\ntuser.ini`: false, ``: false,
	} {
		if got := wantsUserHive(path, 100); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
	if wantsUserHive("NTUSER.DAT", maxUserHive+1) || wantsUserHive("NTUSER.DAT.LOG1", maxUserLog+1) {
		t.Error("a file above the limit is wanted")
	}
}
