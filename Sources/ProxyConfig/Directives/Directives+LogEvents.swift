// SPDX-License-Identifier: Apache-2.0
//
// `access_log … events=connect,interval=5m,close`: at which moments of a session's life a line is written.

import Vocabulary

extension Assembler {
    /// Shorter ones are a debugger's business, and cost a line for each session each time.
    private static let intervalMillisecondsMin = 1000
    private static let eventWords = ["connect", "interval=", "close"]

    /// Nil when it was refused.
    mutating func logEvents(_ parameter: Word) -> AccessLog.Events? {
        var events = AccessLog.Events()
        for word in parameter.fields(from: 7) {
            let isNew: Bool
            if word.equals(SessionEvent.connect) {
                isNew = !events.atConnect
                events.atConnect = true
            } else if word.equals(SessionEvent.close) {
                isNew = !events.atClose
                events.atClose = true
            } else if word.hasPrefix("interval=") {
                guard let interval = logInterval(word) else { return nil }
                isNew = events.intervalMilliseconds == nil
                events.intervalMilliseconds = interval
            } else {
                unknownEvent(word)
                return nil
            }
            guard isNew else {
                error("duplicate event \"\(shown(word.bytes))\"", at: word, hint: "a log names each event once")
                return nil
            }
        }
        return events
    }

    private mutating func unknownEvent(_ word: Word) {
        error(
            "unknown event \"\(shown(word.bytes))\" in \"events\"", at: word,
            hint: word.equals(SessionEvent.interval)
                ? "write how often: interval=5m" : Assembler.parameterHint(word, known: Assembler.eventWords))
    }

    private mutating func logInterval(_ word: Word) -> Int? {
        let value = word.dropFirst(9)
        guard let time = Quantity.milliseconds(value.bytes) else {
            error("invalid interval \"\(shown(value.bytes))\"", at: word, hint: Assembler.timeHint)
            return nil
        }
        guard time >= Assembler.intervalMillisecondsMin else {
            error(
                "interval \"\(shown(value.bytes))\" is too short", at: word,
                hint: "each session writes a line each time: write a second or more, as interval=5m")
            return nil
        }
        return time
    }
}

extension Word {
    fileprivate func equals(_ event: SessionEvent) -> Bool { bytes.elementsEqual(event.name.utf8) }
}
