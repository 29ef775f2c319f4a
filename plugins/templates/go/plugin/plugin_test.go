package plugin

import "testing"

func TestVersions(t *testing.T) {
	read := func(version string) (release, error) {
		return readRelease(`{"repository": "acme/widget", "version": "` + version + `"}`)
	}
	for _, version := range []string{"1.4.0", "0.0.1", "10.20.30"} {
		if release, err := read(version); err != nil || release.File != "VERSION" {
			t.Errorf("%q: %v %v", version, release, err)
		}
	}
	for _, version := range []string{"", "1.4", "v1.4.0", "1.4.0-rc1", "1..0"} {
		if _, err := read(version); err == nil {
			t.Errorf("%q is taken for a version", version)
		}
	}
}
