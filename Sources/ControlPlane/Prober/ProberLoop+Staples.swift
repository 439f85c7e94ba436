// SPDX-License-Identifier: Apache-2.0
//
// Asking responders about the certificates that are stapled, and keeping what they say where workers find it. A
// response that fails to come, or says nothing good, changes nothing: the one before it is stapled until its end.

import LinuxIO
import ProxyConfig
import SharedState
import TLSEngine
import TLSWire
import Vocabulary

extension ProberLoop {
    /// Questions at once: a start with a thousand certificates of one authority does not storm it.
    private static let fetchesMax = 16

    /// A new generation's certificates.
    func adopt(_ plan: StaplePlan) {
        staplePlan = plan
        let targets = Dictionary(uniqueKeysWithValues: plan.targets.map { ($0.key, $0) })
        stapleRoster.adopt(targets, nowMilliseconds: monotonicMilliseconds()) { key in secondsLeft(key) }
        fetches.removeAll { !stapleRoster.wants($0.target.key) }
    }

    /// What the prober before this one has left behind is not asked for again before its time. A time further away than
    /// there are was meant by another clock.
    private func secondsLeft(_ key: [UInt8]) -> UInt64 {
        guard let place = staples.place(of: key) else { return 0 }
        let now = wallSeconds
        let askAt = staples.askAt(place)
        let isPlausible = askAt > now && askAt - now <= StapleRoster<StapleTarget>.refreshSecondsMax
        return isPlausible && staples.holdsUntil(place) >= now ? askAt - now : 0
    }

    func startFetches() {
        let now = monotonicMilliseconds()
        while fetches.count < ProberLoop.fetchesMax, let target = stapleRoster.start(at: now) {
            do throws(TLSFault) {
                let question = try target.certificate.request()
                let fetch = StapleFetch(
                    target, question: question, timeoutMilliseconds: stapleTimes.answerMilliseconds,
                    nowMilliseconds: now)
                fetches.append(fetch)
                settle(fetch)
            } catch {
                note(.crit, "\(error.message), certificate: \"\(target.certificate.name)\"")
                stapleRoster.finish(target.key, nowMilliseconds: now, secondsLeft: nil)
            }
        }
        fetches.removeAll { $0.isDone }
    }

    func advance(_ fetch: StapleFetch) {
        guard !fetch.isDone else { return }
        fetch.advance(nowMilliseconds: monotonicMilliseconds(), buffer: &buffer)
        settle(fetch)
    }

    func expireFetches() {
        let now = monotonicMilliseconds()
        for fetch in fetches where fetch.deadlineMilliseconds <= now && !fetch.isDone {
            fetch.expire(nowMilliseconds: now)
            settle(fetch)
        }
        fetches.removeAll { $0.isDone }
    }

    /// Milliseconds of the monotonic clock; nil: nothing is due.
    var nextFetchMoment: UInt64? {
        let deadline = fetches.lazy.map(\.deadlineMilliseconds).min()
        let due = fetches.count < ProberLoop.fetchesMax ? stapleRoster.nextDueMilliseconds : nil
        return [deadline, due].compactMap(\.self).min()
    }

    // MARK: Results

    private var wallSeconds: UInt64 { wallMilliseconds() / 1000 }

    private func settle(_ fetch: StapleFetch) {
        for line in fetch.takeLines() { note(.error, line) }
        guard fetch.isDone else { return }
        var secondsLeft: UInt64? = nil
        if let response = fetch.response { secondsLeft = keep(response, fetch) }
        stapleRoster.finish(
            fetch.target.key, nowMilliseconds: monotonicMilliseconds(), secondsLeft: secondsLeft)
    }

    /// The seconds until it is asked for again; nil: it is of no use.
    private func keep(_ response: [UInt8], _ fetch: StapleFetch) -> UInt64? {
        let now = wallSeconds
        let said: StatusAnswer
        do throws(TLSFault) {
            said = try fetch.target.certificate.check(response.span, nowSeconds: Int64(now))
        } catch {
            note(.error, fetch.line(error.message))
            return nil
        }
        guard said.status == .good else {
            note(.error, fetch.line("certificate status \"\(said.status.word)\" in the OCSP response"))
            return nil
        }
        guard response.count <= StapleRegion.responseBytesMax else {
            note(.error, fetch.line("OCSP responder sent too large response"))
            return nil
        }
        let key = fetch.target.key
        guard let place = place(for: key) else {
            note(.alert, fetch.line("no place is left for OCSP responses"))
            return nil
        }
        let holdsUntil = said.validUntilSeconds.map { UInt64(max(0, $0)) } ?? .max
        let askAt = stapleRoster.askAt(holdsUntilSeconds: holdsUntil, nowSeconds: now)
        staples.put(response, key, at: place, holdsUntil: holdsUntil, askAt: askAt)
        return askAt - now
    }

    /// Where the key stands, else a place within its reach that nobody has, or nobody wants any more.
    private func place(for key: [UInt8]) -> StapleRegion.Place? {
        if let known = staples.place(of: key) { return known }
        return staples.places(for: key).first { place in
            guard let owner = staples.key(at: place) else { return true }
            return !stapleRoster.wants(owner)
        }
    }
}
