/* result.h - what `results` says of an inference.
 *
 * The output's elements as real numbers; or, where app_model.h defines APP_RESULT_MSE, one number:
 * the mean squared difference between the input buffer's floats and the output. */
#ifndef APP_RESULT_H
#define APP_RESULT_H

/* An inference has ended. Called before anything else is loaded, and outside of what is timed. */
void result_take(void);

/* `m-results-[…]` CR LF of the newest inference, for every output or for one of them; there must
 * have been one. */
void put_result(void);
void put_result_at(unsigned index); /* where there are several */

#endif
