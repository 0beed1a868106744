// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/jackstaff-dev/jackstaff/internal/replica/store"
)

// datafile answers with the datafile that the key opens: ?format=native, the default, or flagd.
func (h *handler) datafile(w http.ResponseWriter, r *http.Request) {
	environment, kind, found := h.store.ByKey(r.PathValue("sdkKey"))
	if !found {
		unknownKey(w)
		return
	}
	var format store.Format
	switch text := r.URL.Query().Get("format"); text {
	case "", "native":
		format = store.Native
	case "flagd":
		format = store.Flagd
	default:
		fail(w, http.StatusBadRequest, "format "+strconv.Quote(text)+" is not native or flagd")
		return
	}
	coding := negotiate(r.Header.Values("Accept-Encoding"))
	download, err := environment.Download(kind, format, coding)
	if err != nil {
		refuse(w, r, err)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	// It may name people, and a key that is revoked must not open a copy.
	header.Set("Cache-Control", "private, no-cache")
	header.Set("Vary", "Accept-Encoding")
	header.Set("ETag", download.ETag)
	header.Set("Content-Length", strconv.Itoa(len(download.Bytes)))
	if name := codingNames[coding]; name != "" {
		header.Set("Content-Encoding", name)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(download.Bytes)) // It knows HEAD, If-None-Match and ranges.
}

// refuse answers where there is no datafile for a key that is known.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, store.ErrMembers):
		fail(
			w,
			http.StatusForbidden,
			err.Error()+"; use a server key, evaluate over OFREP, or set spec.datafile.clientMembers to Allow",
		)
	case errors.Is(err, store.ErrNoFlagd):
		fail(w, http.StatusNotFound, err.Error()+"; add Flagd to spec.datafile.formats, or ask for format=native")
	case errors.Is(err, store.ErrUnpublished):
		fail(w, http.StatusNotFound, err.Error())
	default:
		log.FromContext(r.Context()).Error(err, "Could not make a download")
		fail(w, http.StatusInternalServerError, "the datafile could not be made")
	}
}

// codingNames are the names of codings in HTTP. Identity goes without a name.
var codingNames = map[store.Coding]string{store.Gzip: "gzip", store.Zstd: "zstd"}

// negotiate chooses the coding of the highest quality that the fields of Accept-Encoding name (RFC 9110, section
// 12.5.3), zstd before gzip. Where they forbid everything, identity is better than nothing.
func negotiate(fields []string) store.Coding {
	qualities := map[string]float64{}
	for entry := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		name, parameter, _ := strings.Cut(entry, ";")
		quality := 1.0
		if text, ok := strings.CutPrefix(strings.TrimSpace(strings.ToLower(parameter)), "q="); ok {
			quality, _ = strconv.ParseFloat(text, 64) // What is no number is 0.
		}
		qualities[strings.ToLower(strings.TrimSpace(name))] = quality
	}
	best, bestQuality := store.Identity, qualities["identity"]
	for _, coding := range []store.Coding{store.Zstd, store.Gzip} {
		quality, named := qualities[codingNames[coding]]
		if !named {
			quality = qualities["*"]
		}
		if quality > 0 && quality >= bestQuality && (best == store.Identity || quality > bestQuality) {
			best, bestQuality = coding, quality
		}
	}
	return best
}
