// The tasks as an Inertia page in Vue.
import { createInertiaApp, router, useForm } from "@inertiajs/vue3"
import { createApp, h } from "vue"

const Tasks = {
  props: { tasks: Array, count: String, errors: Object },
  setup(props) {
    const fresh = useForm({ title: "" })
    const add = useForm({ title: "" })
    const send = (form, to) => (event) => {
      event.preventDefault()
      form.post(to, { preserveState: true })
    }
    const field = (form) => h("input", { name: "title", value: form.title, onInput: (e) => (form.title = e.target.value) })
    const more = () => router.reload({ only: ["count"] })
    const row = (task) =>
      h("li", [task.title + " ", h("button", { id: "delete-" + task.id, onClick: () => router.delete("/tasks/" + task.id) }, "Delete")])
    return () => [
      h("h1", "Tasks"),
      h("ul", { id: "tasks" }, props.tasks?.length ? props.tasks.map(row) : "No tasks."),
      h("form", { id: "new", onSubmit: send(fresh, "/tasks") }, [
        props.errors?.title && h("p", { id: "error" }, props.errors.title),
        field(fresh),
        h("button", "New"),
      ]),
      h("div", { id: "count" }, props.count ?? h("button", { id: "more", onClick: more }, "How many?")),
      h("form", { id: "add", onSubmit: send(add, "/rows") }, [field(add), h("button", "Add")]),
    ]
  },
}

createInertiaApp({
  resolve: () => Tasks,
  setup: ({ el, App, props, plugin }) => createApp({ render: () => h(App, props) }).use(plugin).mount(el),
})
