//! Calls our objects as C++ does: through the vtable, in the layout of each family.

use super::super::abi::Version;
use super::*;
use crate::tensor::DType;

/// One version of each layout.
const VERSIONS: [i32; 5] = [100000, 100800, 110400, 10400, 10701];

fn abis() -> impl Iterator<Item = Abi> {
    VERSIONS.into_iter().map(|number| Abi::of(Version::from_number(number)).unwrap())
}

/// The function in a slot of an object.
fn method(object: *mut c_void, slot: usize) -> *const c_void {
    // SAFETY: the tests pass objects of ours, and slots of their tables.
    unsafe { *(*object.cast::<*const *const c_void>()).add(slot) }
}

type Debug = extern "C" fn(*mut c_void, u64, i32, i32, *const Dims, *const c_char, u64) -> bool;
type Allocate = extern "C" fn(*mut c_void, *const c_char, u64, u64, u64, u64) -> u64;
type Notify = extern "C" fn(*mut c_void, *const c_char, *const Dims);
type Destroy = extern "C" fn(*mut c_void);
type GetInfo = extern "C" fn(*mut c_void) -> Info;

#[test]
fn a_listener_is_called_and_its_panic_stays_inside() {
    for abi in abis() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = heard.clone();
        let listener = Callback::listener(
            &abi,
            Box::new(move |tensor| {
                assert!(tensor.name != "panic");
                ear.lock().unwrap().push((tensor.name.to_string(), tensor.address, tensor.host, tensor.shape.to_vec()));
                assert_eq!((tensor.dtype, tensor.stream), (Some(DType::Float16), 7));
                tensor.name != "stop"
            }),
        );
        let object = listener.as_object();
        let slot = abi.slot("IDebugListener", "processDebugTensor").unwrap();
        // SAFETY: that slot holds a function of this type.
        let call: Debug = unsafe { std::mem::transmute(method(object, slot)) };
        let dims = Dims::new(&[2, 3]).unwrap();
        let say = |name: &std::ffi::CStr| call(object, 0x1000, 0, 1, &dims, name.as_ptr(), 7);
        assert_eq!([say(c"a"), say(c"stop"), say(c"panic"), say(c"b")], [true, false, false, true]);
        let heard = heard.lock().unwrap();
        assert_eq!(heard.len(), 3);
        assert_eq!(heard[0], ("a".to_string(), 0x1000, false, vec![2, 3]));

        // What C++ may call besides: the destructors do nothing, the name is that of the class.
        for slot in [2, 3] {
            // SAFETY: a destructor takes the object only.
            let destroy: Destroy = unsafe { std::mem::transmute(method(object, slot)) };
            destroy(object);
        }
        // SAFETY: as NVIDIA's headers have it.
        let info: GetInfo = unsafe { std::mem::transmute(method(object, 1)) };
        // SAFETY: the text belongs to the listener, which lives.
        assert_eq!(unsafe { text(info(object).kind) }, "IDebugListener");
    }
}

#[test]
fn a_profiler_hears_of_every_layer_and_its_panic_stays_inside() {
    type Report = extern "C" fn(*mut c_void, *const c_char, f32);
    for abi in abis() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = heard.clone();
        let profiler = Callback::profiler(
            &abi,
            Box::new(move |layer, milliseconds| {
                assert!(layer != "panic");
                ear.lock().unwrap().push((layer.to_string(), milliseconds));
            }),
        );
        let object = profiler.as_object();
        let slot = abi.slot("IProfiler", "reportLayerTime").unwrap();
        // SAFETY: that slot holds a function of this type.
        let report: Report = unsafe { std::mem::transmute(method(object, slot)) };
        report(object, c"a".as_ptr(), 0.5);
        report(object, c"panic".as_ptr(), 1.0);
        report(object, c"b".as_ptr(), 0.25);
        assert_eq!(*heard.lock().unwrap(), [("a".to_string(), 0.5), ("b".to_string(), 0.25)]);
        for name in ["~D1", "~D0"] {
            // SAFETY: a destructor takes the object only, and does nothing.
            let destroy: Destroy = unsafe { std::mem::transmute(method(object, abi.slot("IProfiler", name).unwrap())) };
            destroy(object);
        }
    }
}

#[test]
fn an_allocation_gives_what_it_has() {
    for abi in abis() {
        let allocation = Arc::new(Allocation::new(0x5000, 100));
        let callback = Callback::allocation(&abi, allocation.clone());
        let object = callback.as_object();
        for name in ["reallocateOutput", "reallocateOutputAsync"] {
            let Some(slot) = abi.slot("IOutputAllocator", name) else { continue };
            // SAFETY: that slot holds a function of this type; the last argument is not its.
            let allocate: Allocate = unsafe { std::mem::transmute(method(object, slot)) };
            *allocation.wanted.lock().unwrap() = None;
            assert_eq!(allocate(object, c"y".as_ptr(), 0, 100, 256, 0), 0x5000);
            assert_eq!(*allocation.wanted.lock().unwrap(), None);
            assert_eq!(allocate(object, c"y".as_ptr(), 0, 101, 256, 0), 0);
            assert_eq!(*allocation.wanted.lock().unwrap(), Some(101));
        }
        let slot = abi.slot("IOutputAllocator", "notifyShape").unwrap();
        // SAFETY: as above.
        let notify: Notify = unsafe { std::mem::transmute(method(object, slot)) };
        notify(object, c"y".as_ptr(), &Dims::new(&[5]).unwrap());
        assert_eq!(*allocation.shape.lock().unwrap(), Some(vec![5]));
    }
}

#[test]
fn loggers_of_both_layouts_write_into_one_log() {
    type Log = extern "C" fn(*mut c_void, i32, *const c_char);
    let mark = log::mark();
    for abi in abis() {
        let object = logger(&abi);
        // SAFETY: that slot holds a function of this type.
        let call: Log = unsafe { std::mem::transmute(method(object, abi.slot("ILogger", "log").unwrap())) };
        call(object, 1, c"said by a test of loggers".as_ptr());
    }
    let said = log::since(mark).into_iter().filter(|message| message.text == "said by a test of loggers").count();
    assert_eq!(said, VERSIONS.len());
}

#[test]
fn a_recorder_keeps_errors_until_they_are_cleared() {
    type Count = extern "C" fn(*mut c_void) -> i32;
    type At = extern "C" fn(*mut c_void, i32) -> i32;
    type TextAt = extern "C" fn(*mut c_void, i32) -> *const c_char;
    type Is = extern "C" fn(*mut c_void) -> bool;
    type Report = extern "C" fn(*mut c_void, i32, *const c_char) -> bool;
    for abi in abis() {
        let recorder = Callback::recorder(&abi);
        let object = recorder.as_object();
        macro_rules! method {
            ($name:literal as $kind:ty) => {{
                let slot = abi.slot("IErrorRecorder", $name).unwrap();
                // SAFETY: as NVIDIA's headers have it.
                unsafe { std::mem::transmute::<*const c_void, $kind>(method(object, slot)) }
            }};
        }
        let (count, code) = (method!("getNbErrors" as Count), method!("getErrorCode" as At));
        let (description, report) = (method!("getErrorDesc" as TextAt), method!("reportError" as Report));
        let (overflowed, clear) = (method!("hasOverflowed" as Is), method!("clear" as Destroy));
        let before = log::mark();
        assert!(report(object, 4, c"recorded: no such input".as_ptr()));
        assert!(log::errors(before).unwrap().contains("Error Code 4: recorded: no such input"));
        assert_eq!((count(object), code(object, 0), code(object, 1), overflowed(object)), (1, 4, 0, false));
        // SAFETY: the texts belong to the recorder, which lives.
        let told = [0, 1, -1].map(|at| unsafe { text(description(object, at)) });
        assert_eq!(told, ["recorded: no such input", "", ""]);
        (0..200).for_each(|_| assert!(report(object, 1, c"again".as_ptr())));
        assert_eq!((count(object), overflowed(object)), (100, true));
        clear(object);
        assert_eq!((count(object), overflowed(object)), (0, false));
        let (hold, release) = (method!("incRefCount" as Count), method!("decRefCount" as Count));
        assert_eq!((hold(object), hold(object), release(object)), (1, 2, 1));
    }
}
