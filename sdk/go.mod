module github.com/jackstaff-dev/jackstaff/sdk

go 1.26.0

require (
	github.com/fsnotify/fsnotify v1.9.0
	github.com/open-feature/go-sdk v1.20.0
	github.com/twmb/murmur3 v1.1.8
	go.yaml.in/yaml/v3 v3.0.5
)

require (
	go.uber.org/mock v0.6.0 // indirect
	golang.org/x/sys v0.13.0 // indirect
)
