/* Pairing by a code: joiners, one inviter, and either a network that loses or an attacker who is the network.
 * What is modelled and what is not, the properties, and how to run it: README.md beside this file.
 *
 * No channels: what is under way is a set ("the air"), and a receiver takes from it what it likes, in any order and
 * as often as it likes. That is delay, reordering, duplication and replay. A delivery that would change nothing is
 * left out. Loss takes something from the set (LOSSY); the attacker (ATTACK) never needs to, for nobody has to take
 * anything.
 *
 * Cryptography is symbolic. A transcript is (HELLO2 as sent, SHARE as taken). Two ends have the same key if and only
 * if their transcripts are the same and their words are. The attacker's own shares are made with a wrong guess,
 * unless LUCKY. */

/* ---- Configuration, by -D */

#ifndef JOINERS
#define JOINERS 1               /* typed codes: two people, or one who types twice */
#endif
#ifndef WRONG
#define WRONG 0                 /* bit t: code t was typed with wrong words */
#endif
#ifndef GENERATIONS
#define GENERATIONS 1           /* 2: a joiner may forget its cookie once and begin again with HELLO */
#endif
#ifndef RUNS
#define RUNS 3                  /* runs that the inviter may begin, ever */
#endif
#ifndef RESERVED
#define RESERVED 0              /* of these, kept for code 1 */
#endif
#ifndef LOSSY
#define LOSSY 0                 /* an honest network: it loses what it likes until it calms down */
#endif
#define ATTACK (!LOSSY)
#ifndef RETYPED
#define RETYPED 0               /* the attacker falls silent; code 1 is typed when code 0 has failed after that */
#endif
#ifndef FORGES_CONFIRM
#define FORGES_CONFIRM 1        /* the attacker may send CONFIRM_J, too */
#endif

/* ---- Mutations, by -D: each takes a rule away, and a property must notice */

#ifndef LUCKY
#define LUCKY 0                 /* the attacker guessed the words */
#endif
#ifndef INVITER_FIRST
#define INVITER_FIRST 0         /* CONFIRM_I goes with SHARE */
#endif
#ifndef KEYED_SHARE
#define KEYED_SHARE 0           /* SHARE has a value that depends on the session key */
#endif
#ifndef NO_BURN
#define NO_BURN 0               /* a wrong tag is dropped, and that is all */
#endif
#ifndef NO_RETIRE
#define NO_RETIRE 0             /* success does not end the invite */
#endif
#ifndef ANSWERS_ALL
#define ANSWERS_ALL 0           /* a CONFIRM_J for each responder */
#endif
#ifndef ONE_LABEL
#define ONE_LABEL 0             /* CONFIRM_J and CONFIRM_I are tags under the same key */
#endif
#ifndef UNBOUND
#define UNBOUND 0               /* parameters are not in the transcript */
#endif
#ifndef ON_SHARE
#define ON_SHARE 0              /* the joiner is established by SHARE */
#endif
#ifndef UNNAMED
#define UNNAMED 0               /* CONFIRM_J does not say for which transcript it is */
#endif
#ifndef SAME_RANDOM
#define SAME_RANDOM 0           /* the joiner keeps its client_random when it begins again */
#endif
#ifndef NO_REPEAT_SHARE
#define NO_REPEAT_SHARE 0       /* a repeated HELLO2 gets no answer */
#endif
#ifndef NO_REPEAT_CONFIRM
#define NO_REPEAT_CONFIRM 0     /* a repeated CONFIRM_J gets no answer */
#endif
#ifndef FORGETS
#define FORGETS 0               /* a retired invite does not know the CONFIRM_J of runs that it dropped */
#endif
#ifndef PATIENT
#define PATIENT 0               /* a joiner that never gives up */
#endif
#ifndef RESTLESS
#define RESTLESS 0              /* a joiner that begins again and again */
#endif
#ifndef SECOND_TRY
#define SECOND_TRY 0            /* a joiner begins again after its CONFIRM_J, too */
#endif
#ifndef TWO_GUESSES
#define TWO_GUESSES 0           /* not a rule: claims one guess for both sides together, which is not so */
#endif

#ifndef NEVER_CONNECTS
#define NEVER_CONNECTS 0        /* not a rule either: shows that what is checked is reached at all */
#endif

/* ---- Properties. PROPERTY picks one, so that a mutation is seen by the one it is for; 0 is all. */

#define AGREE_JOINER    1       /* a: a joiner is established => the inviter is, with the same transcript */
#define AGREE_INVITER   2       /* a: the inviter is established => a joiner who knows the words confirmed just that */
#define ONE_ANSWER      3       /* b: one keyed answer at most for each invite to who does not know the words */
#define ONE_CONFIRM     4       /* b: one CONFIRM_J at most for each typed code */
#define GUESSES         5       /* b: one guess for each typed code and one for the invite, no more */
#define OUTCOME         6       /* c: every end comes to where it should */
#define USED_ONCE       7       /* d: an invite is used once */
#define NOT_BURNT       8       /* e: only a wrong guess burns, never what a joiner with the right words says */
#ifndef PROPERTY
#define PROPERTY 0
#endif
#define GUESSES_MAX (TWO_GUESSES -> 1 : JOINERS + 1)
#define HOLDS(property, claim) assert((PROPERTY != 0 && PROPERTY != property) || (claim))

/* ---- Terms */

#define AT(t, g) (2 * (t) + (g))            /* generation g of code t: one HELLO, one cookie, one HELLO2 */
/* A HELLO2 as the inviter may get it. */
#define GENUINE(t, g)  (1 + AT(t, g))       /* as the joiner sent it */
#define TAMPERED(t, g) (5 + AT(t, g))       /* its client_random and share, and something else not */
#define STRANGER       9                    /* a share of the attacker's */
#define OWN_SHARE      RUNS                 /* in a SHARE: the attacker's share; below it: that of a run */

#define RIGHT(t) (((WRONG >> (t)) & 1) == 0)

/* Joiner. */
#define TRYING      0
#define CONFIRMED   1
#define ESTABLISHED 2
#define FAILED      3
/* Its steps toward the honest invite. */
#define LOOKING     0
#define HELLO_SENT  1
#define HELLO2_SENT 2
/* Inviter. */
#define OPEN        0
#define USED        1
#define BURNT       2
#define EXPIRED     3
/* Reasons of a failure, as the user is told. USED and BURNT are reasons, too. */
#define NOBODY      4
#define NO_ANSWER   5
#define OTHER       6           /* somebody answered, and could not confirm */

typedef Joiner {
    byte state;
    byte step;
    byte generation;
    bool cookie_is_good;
    bool other;                 /* a HELLO2 went to the attacker's own invite of the same nameplate, too */
    bool took_other;            /* the SHARE taken is that one's */
    byte share;
    bool share_tampered;
    byte confirms;
    byte hint;
    byte reason;
};

typedef Run {
    byte hello2;
    bool alive;
};

Joiner joiner[2];
Run half_open[4];               /* runs not confirmed yet; of those given up only `hello2` matters */
byte inviter = OPEN;
byte begun;                     /* runs */
byte winner = RUNS;
byte uses;
byte answers;                   /* to who does not know the words, depending on a session key */
byte guesses;                   /* that the attacker could make and test */
bool silent;                    /* no loss any more, no attacker any more */

/* The air. */
bool offer;
bool hello[4];
bool retry[4];
bool hello2[4];
bool share[4];
bool confirm_j[2];
bool confirm_i[4];
byte refuse[2];
#define LOSES(it) :: d_step { it -> it = false }

#define HOSTILE (ATTACK && !silent)

/* ---- What the two ends compare */

#define SAME_TRANSCRIPT(t, r) (!joiner[t].took_other && joiner[t].cookie_is_good && joiner[t].share == (r) && \
    !joiner[t].share_tampered && half_open[r].hello2 == GENUINE(t, joiner[t].generation))
/* As far as the tags are concerned. */
#define TAG_FITS(t, r) (RIGHT(t) && (SAME_TRANSCRIPT(t, r) || (UNBOUND && !joiner[t].took_other && \
    joiner[t].cookie_is_good && joiner[t].share == (r) && \
    (half_open[r].hello2 == GENUINE(t, joiner[t].generation) || \
    half_open[r].hello2 == TAMPERED(t, joiner[t].generation)))))
#define HAS_RANDOM(r, t, g) (half_open[r].hello2 == GENUINE(t, g) || half_open[r].hello2 == TAMPERED(t, g) || \
    (SAME_RANDOM && (half_open[r].hello2 == GENUINE(t, 1 - (g)) || half_open[r].hello2 == TAMPERED(t, 1 - (g)))))
/* Whether the inviter takes code t's CONFIRM_J to be one for run r. */
#define IS_FOR(t, r) (HAS_RANDOM(r, t, joiner[t].generation) && (UNNAMED || SAME_TRANSCRIPT(t, r)))
#define KNOWS_WORDS(h) (LUCKY || ((h) != STRANGER && ((h) > GENUINE(1, 1) || RIGHT(((h) - 1) / 2))))

#define UNTYPED(t) ((t) >= JOINERS || (RETYPED && (t) == 1 && joiner[0].state == ESTABLISHED))
#define DONE(t) (joiner[t].state >= ESTABLISHED || UNTYPED(t))

/* ---- Joiner */

inline establish_joiner(t) {
    joiner[t].state = ESTABLISHED;
    HOLDS(AGREE_JOINER, !NEVER_CONNECTS && RIGHT(t) && inviter == USED && winner < RUNS && SAME_TRANSCRIPT(t, winner))
}

inline answer_share(t, from_other, whose, tampered) {
    joiner[t].took_other = from_other;
    joiner[t].share = whose;
    joiner[t].share_tampered = tampered;
    joiner[t].state = CONFIRMED;
    joiner[t].confirms++;
    confirm_j[t] = true;
    guesses = guesses + (whose == OWN_SHARE);
    HOLDS(ONE_CONFIRM, joiner[t].confirms <= 1);
    HOLDS(GUESSES, guesses <= GUESSES_MAX);
    if
    :: ON_SHARE -> establish_joiner(t)
    :: else
    fi
}

inline fail(t) {
    joiner[t].reason = (joiner[t].hint -> joiner[t].hint : (joiner[t].state == CONFIRMED -> OTHER :
        (joiner[t].step == LOOKING && !joiner[t].other -> NOBODY : NO_ANSWER)));
    joiner[t].state = FAILED
}

/* Whether it takes a SHARE from the honest invite's side, or from the attacker's own invite. */
#define TAKES(t) (joiner[t].step == HELLO2_SENT && (joiner[t].state == TRYING || \
    (ANSWERS_ALL && joiner[t].state == CONFIRMED && joiner[t].took_other)))
#define TAKES_OTHER(t) (joiner[t].other && (joiner[t].state == TRYING || \
    (ANSWERS_ALL && joiner[t].state == CONFIRMED && !joiner[t].took_other)))
#define TAKE_SHARE(t, r) \
    :: d_step { TAKES(t) && share[r] && HAS_RANDOM(r, t, joiner[t].generation) -> answer_share(t, false, r, false) } \
    :: d_step { HOSTILE && r < begun && TAKES(t) -> answer_share(t, false, r, false) } \
    :: d_step { HOSTILE && r < begun && TAKES(t) -> answer_share(t, false, r, true) } \
    :: d_step { HOSTILE && r < begun && TAKES_OTHER(t) -> answer_share(t, true, r, false) }
#define TAKE_CONFIRM_I(t, r) \
    :: d_step { joiner[t].state == CONFIRMED && confirm_i[r] && TAG_FITS(t, r) -> establish_joiner(t) }

proctype JoinerProcess(byte t) {
end_untyped:
    (!RETYPED || t == 0 || (silent && joiner[0].state == FAILED));
    do
    /* OFFER: HELLO goes to the honest invite, and to the attacker's with the same nameplate. */
    :: d_step { joiner[t].state == TRYING && joiner[t].step == LOOKING && offer ->
        joiner[t].step = HELLO_SENT; hello[AT(t, 0)] = true }
    :: d_step { joiner[t].state == TRYING && HOSTILE && !joiner[t].other -> joiner[t].other = true }

    /* RETRY: the first one decides. */
    :: d_step { joiner[t].state == TRYING && joiner[t].step == HELLO_SENT && retry[AT(t, joiner[t].generation)] ->
        joiner[t].step = HELLO2_SENT; joiner[t].cookie_is_good = true; hello2[AT(t, joiner[t].generation)] = true }
    :: d_step { joiner[t].state == TRYING && joiner[t].step == HELLO_SENT && HOSTILE ->
        joiner[t].step = HELLO2_SENT; joiner[t].cookie_is_good = false }
    /* No answer to HELLO2, or a refusal that is not believed: it begins again, with fresh random, cookie and share. */
    :: d_step { joiner[t].state == TRYING && joiner[t].step == HELLO2_SENT &&
        joiner[t].generation + 1 < GENERATIONS ->
        joiner[t].generation++; joiner[t].step = HELLO_SENT; joiner[t].cookie_is_good = false;
        hello[AT(t, joiner[t].generation)] = true }
    :: d_step { SECOND_TRY && joiner[t].state == CONFIRMED && joiner[t].generation + 1 < GENERATIONS ->
        joiner[t].generation++; joiner[t].state = TRYING; joiner[t].step = HELLO_SENT;
        joiner[t].cookie_is_good = false; hello[AT(t, joiner[t].generation)] = true }
    :: d_step { RESTLESS && joiner[t].state == TRYING && joiner[t].step == HELLO2_SENT ->
        joiner[t].step = HELLO_SENT }

    /* SHARE: the first one gets the one CONFIRM_J. */
    TAKE_SHARE(t, 0) TAKE_SHARE(t, 1) TAKE_SHARE(t, 2) TAKE_SHARE(t, 3)
    :: d_step { HOSTILE && TAKES(t) -> answer_share(t, false, OWN_SHARE, false) }
    :: d_step { HOSTILE && TAKES_OTHER(t) -> answer_share(t, true, OWN_SHARE, false) }

    /* CONFIRM_I */
    TAKE_CONFIRM_I(t, 0) TAKE_CONFIRM_I(t, 1) TAKE_CONFIRM_I(t, 2) TAKE_CONFIRM_I(t, 3)
    :: d_step { joiner[t].state == CONFIRMED && HOSTILE && (ONE_LABEL || (LUCKY && joiner[t].share == OWN_SHARE)) ->
        establish_joiner(t) }

    /* What was lost goes again. */
    :: d_step { joiner[t].state == TRYING && joiner[t].step == HELLO_SENT && !hello[AT(t, joiner[t].generation)] ->
        hello[AT(t, joiner[t].generation)] = true }
    :: d_step { joiner[t].state == TRYING && joiner[t].step == HELLO2_SENT && joiner[t].cookie_is_good &&
        !hello2[AT(t, joiner[t].generation)] -> hello2[AT(t, joiner[t].generation)] = true }
    :: d_step { joiner[t].state == CONFIRMED && !confirm_j[t] -> confirm_j[t] = true }

    /* The end. A hint counts when nothing else comes any more; an attacker can bring about any failure. */
    :: d_step { joiner[t].state < ESTABLISHED && refuse[t] && !joiner[t].hint -> joiner[t].hint = refuse[t] }
    :: d_step { joiner[t].state < ESTABLISHED && HOSTILE -> fail(t) }
    :: atomic { timeout && !PATIENT && joiner[t].state < ESTABLISHED -> fail(t) }
    :: joiner[t].state >= ESTABLISHED -> break
    od
}

/* ---- Inviter */

#define ROOM(h) (inviter == OPEN && begun + RESERVED * ((h) != GENUINE(1, 0)) < RUNS)
#define RUNNING(r, h) (half_open[r].alive && half_open[r].hello2 == (h))
#define IS_REPEATED(h) (RUNNING(0, h) || RUNNING(1, h) || RUNNING(2, h) || RUNNING(3, h))

inline begin_run(h) {
    half_open[begun].hello2 = h;
    half_open[begun].alive = true;
    share[begun] = true;
    confirm_i[begun] = INVITER_FIRST;
    answers = answers + ((KEYED_SHARE || INVITER_FIRST) && !KNOWS_WORDS(h));
    begun++;
    HOLDS(ONE_ANSWER, answers <= 1)
}

inline drop_runs() {
    half_open[0].alive = false; half_open[1].alive = false; half_open[2].alive = false; half_open[3].alive = false
}

inline succeed(r) {
    uses++;
    winner = r;
    confirm_i[r] = true;
    HOLDS(USED_ONCE, uses <= 1);
    HOLDS(AGREE_INVITER, (joiner[0].confirms && RIGHT(0) && SAME_TRANSCRIPT(0, r)) ||
        (joiner[1].confirms && RIGHT(1) && SAME_TRANSCRIPT(1, r)));
    if
    :: NO_RETIRE -> half_open[r].alive = false
    :: else -> inviter = USED; drop_runs()
    fi
}

/* A wrong tag was judged. */
inline burn(was_forged, words_right) {
    answers++;
    guesses = guesses + was_forged;
    HOLDS(ONE_ANSWER, answers <= 1);
    HOLDS(GUESSES, guesses <= GUESSES_MAX);
    HOLDS(NOT_BURNT, was_forged || !words_right);
    if
    :: NO_BURN -> half_open[0].alive = half_open[0].alive
    :: else -> inviter = BURNT; drop_runs()
    fi
}

/* Whether the attacker has seen a HELLO2 with this random and share, under whatever cookie and invite id. */
#define SEEN_HELLO2(t, g) (joiner[t].generation > g || (joiner[t].generation == g && \
    (joiner[t].step == HELLO2_SENT || joiner[t].other)))
#define TAKE_HELLO(t, g) \
    :: d_step { inviter == OPEN && hello[AT(t, g)] && !retry[AT(t, g)] -> retry[AT(t, g)] = true }
#define TAKE_HELLO2(t, g) \
    :: d_step { ROOM(GENUINE(t, g)) && hello2[AT(t, g)] && !IS_REPEATED(GENUINE(t, g)) -> begin_run(GENUINE(t, g)) } \
    :: d_step { HOSTILE && ROOM(TAMPERED(t, g)) && SEEN_HELLO2(t, g) -> begin_run(TAMPERED(t, g)) }
#define REPEAT_SHARE(r) \
    :: d_step { !NO_REPEAT_SHARE && LOSSY && half_open[r].alive && !share[r] && hello2[half_open[r].hello2 - 1] -> \
        share[r] = true }
#define TAKE_CONFIRM_J(t, r) \
    :: d_step { confirm_j[t] && half_open[r].alive && IS_FOR(t, r) && TAG_FITS(t, r) -> succeed(r) } \
    :: d_step { confirm_j[t] && half_open[r].alive && IS_FOR(t, r) && !TAG_FITS(t, r) -> burn(false, RIGHT(t)) }
#define TAKE_FORGED(r) \
    :: d_step { HOSTILE && FORGES_CONFIRM && half_open[r].alive && !(LUCKY && half_open[r].hello2 == STRANGER) -> \
        burn(true, false) } \
    :: d_step { HOSTILE && FORGES_CONFIRM && half_open[r].alive && LUCKY && half_open[r].hello2 == STRANGER -> \
        succeed(r) }
/* A flood of HELLO2: an unconfirmed run gives way. */
#define GIVE_WAY(r) :: d_step { HOSTILE && half_open[r].alive -> half_open[r].alive = false }

/* What a retired invite says: the winner gets the same CONFIRM_I again, others are told why not. */
#define WINS(t) (inviter == USED && SAME_TRANSCRIPT(t, winner))
#define TELL(t) \
    :: d_step { LOSSY && !refuse[t] && joiner[t].state < ESTABLISHED && !WINS(t) && (hello[AT(t, 0)] || \
        hello[AT(t, 1)] || hello2[AT(t, 0)] || hello2[AT(t, 1)] || (!FORGETS && confirm_j[t])) -> \
        refuse[t] = inviter } \
    :: d_step { !NO_REPEAT_CONFIRM && confirm_j[t] && WINS(t) && !confirm_i[winner] -> confirm_i[winner] = true }

proctype InviterProcess() {
    do
    :: d_step { inviter == OPEN && !offer -> offer = true }
    TAKE_HELLO(0, 0) TAKE_HELLO(0, 1) TAKE_HELLO(1, 0) TAKE_HELLO(1, 1)
    TAKE_HELLO2(0, 0) TAKE_HELLO2(0, 1) TAKE_HELLO2(1, 0) TAKE_HELLO2(1, 1)
    :: d_step { HOSTILE && ROOM(STRANGER) -> begin_run(STRANGER) }
    REPEAT_SHARE(0) REPEAT_SHARE(1) REPEAT_SHARE(2) REPEAT_SHARE(3)
    TAKE_CONFIRM_J(0, 0) TAKE_CONFIRM_J(0, 1) TAKE_CONFIRM_J(0, 2) TAKE_CONFIRM_J(0, 3)
    TAKE_CONFIRM_J(1, 0) TAKE_CONFIRM_J(1, 1) TAKE_CONFIRM_J(1, 2) TAKE_CONFIRM_J(1, 3)
    TAKE_FORGED(0) TAKE_FORGED(1) TAKE_FORGED(2) TAKE_FORGED(3)
    GIVE_WAY(0) GIVE_WAY(1) GIVE_WAY(2) GIVE_WAY(3)
    :: inviter != OPEN -> break
    :: atomic { timeout && inviter == OPEN && DONE(0) && DONE(1) -> inviter = EXPIRED }
    od;
end_retired:
    do
    TELL(0) TELL(1)
    od
}

/* ---- What is around them */

/* Loses what it likes for as long as it likes; the attacker gives up when he likes. */
proctype Network() {
progress_storm:
    do
    LOSES(offer)
    LOSES(hello[0]) LOSES(hello[1]) LOSES(hello[2]) LOSES(hello[3])
    LOSES(retry[0]) LOSES(retry[1]) LOSES(retry[2]) LOSES(retry[3])
    LOSES(hello2[0]) LOSES(hello2[1]) LOSES(hello2[2]) LOSES(hello2[3])
    LOSES(share[0]) LOSES(share[1]) LOSES(share[2]) LOSES(share[3])
    LOSES(confirm_j[0]) LOSES(confirm_j[1])
    LOSES(confirm_i[0]) LOSES(confirm_i[1]) LOSES(confirm_i[2]) LOSES(confirm_i[3])
    LOSES(refuse[0]) LOSES(refuse[1])
    :: silent = true -> break
    od
}

#define IS_TOLD(t) (joiner[t].state != FAILED || joiner[t].reason == inviter || \
    (joiner[t].step == LOOKING && joiner[t].reason == NOBODY))
#define COUNT_ESTABLISHED ((joiner[0].state == ESTABLISHED) + (joiner[1].state == ESTABLISHED))
#define CONFIRMED_BY(t) (inviter == USED && SAME_TRANSCRIPT(t, winner))

/* c: what must have come of it when everything has come to rest. */
proctype Judge() {
    d_step { DONE(0) && DONE(1) && inviter != OPEN ->
        /* Without an attacker: connected, or a wrong code was typed; and each who was left out was told why. */
        HOLDS(OUTCOME, ATTACK || (COUNT_ESTABLISHED == (inviter == USED) && inviter != EXPIRED &&
            (inviter != BURNT || WRONG) && IS_TOLD(0) && IS_TOLD(1)));
        /* After an attacker who only answered: the code typed again connects, unless the inviter took the first. */
        HOLDS(OUTCOME, !RETYPED || CONFIRMED_BY(0) || (joiner[1].state == ESTABLISHED && CONFIRMED_BY(1))) }
}

init {
    atomic {
        run InviterProcess();
        run JoinerProcess(0);
        if
        :: JOINERS > 1 -> run JoinerProcess(1)
        :: else
        fi;
        if
        :: LOSSY || RETYPED -> run Network()
        :: else
        fi;
        run Judge()
    }
}
